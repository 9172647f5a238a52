//! Notices when Redis has lost something or kept it for too long, and puts that right.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use domain::{JobId, Pool};
use queue::{QueueError, WaitingCursor};
use runtime::{Outage, Shutdown, in_full};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, error, info, warn};

use super::{QueueKeeper, QueueingError};
use crate::metrics::QueuedBy;

/// The jobs of one page of Postgres.
const PAGE: u32 = 1000;

/// Keeps one pool's queue true until the process stops: lets its lease clock run, rebuilds it as soon as Redis was
/// emptied, restarted or failed over, and looks from time to time for jobs that are missing for any other reason, and
/// for those that no longer belong there.
pub(super) async fn keep_true(keeper: QueueKeeper, pool: Pool, audit_every: Duration, shutdown: Shutdown) {
    let mut ticks = interval(keeper.queue.longest_rest());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let outage = Outage::of("keeping the queue true to Postgres");
    let mut audited = Instant::now();
    while shutdown.unless_requested(ticks.tick()).await.is_some() {
        let audit_is_due = audited.elapsed() >= audit_every;
        let looked = look(&keeper, &pool, audit_is_due).await;
        outage.note(&looked);
        if audit_is_due && looked.is_ok() {
            audited = Instant::now();
        }
    }
}

/// Looks once. A queue that somebody else has damaged so that no script can work with it is dropped and rebuilt.
async fn look(keeper: &QueueKeeper, pool: &Pool, audit_is_due: bool) -> Result<(), QueueingError> {
    match look_and_restore(keeper, pool, audit_is_due).await {
        Err(QueueingError::Queue(defect @ QueueError::Defect { .. })) => {
            error!(%pool, error = in_full(&defect), "the queue is damaged: dropping it and rebuilding it from Postgres");
            keeper.queue.discard(pool).await?;
            rebuild(keeper, pool).await
        }
        looked => looked,
    }
}

async fn look_and_restore(
    keeper: &QueueKeeper,
    pool: &Pool,
    audit_is_due: bool,
) -> Result<(), QueueingError> {
    let ticked = keeper.queue.tick(pool).await;
    // Also after a tick that failed: what is done here may be what the next one needs.
    if !keeper.queue.is_current(pool).await? {
        rebuild(keeper, pool).await?;
    } else if audit_is_due {
        let missing = restore_missing(keeper, pool).await?;
        if missing > 0 {
            keeper.metrics.restored.inc_by(missing);
            warn!(%pool, jobs = missing, "the queue had lost jobs; they are back");
        }
        let left = remove_ended(keeper, pool).await?;
        debug!(%pool, jobs = left, "took off the queue what no longer waits");
    }
    Ok(ticked.map(drop)?)
}

/// A rebuild that Redis lost again while it was made is not complete: the next look begins another.
async fn rebuild(keeper: &QueueKeeper, pool: &Pool) -> Result<(), QueueingError> {
    let rebuild = keeper.queue.begin_rebuild(pool).await?;
    let missing = restore_missing(keeper, pool).await?;
    if keeper.queue.complete_rebuild(pool, &rebuild).await? {
        keeper.metrics.rebuilds.inc();
        info!(%pool, jobs = missing, "rebuilt the queue from Postgres");
    }
    Ok(())
}

/// Walks all active jobs of the pool and puts back those that are not on the queue: waiting ones among the waiting,
/// running ones under a fresh lease of their epoch. Returns how many those were.
async fn restore_missing(keeper: &QueueKeeper, pool: &Pool) -> Result<u64, QueueingError> {
    let (mut after, mut missing) = (None, 0);
    loop {
        let page = keeper.store.active_page(pool, after, PAGE).await?;
        missing += keeper.put_on_queue(&page, QueuedBy::AUDIT).await?;
        match page.last() {
            Some(last) if page.len() == PAGE as usize => after = Some(last.job),
            _ => return Ok(missing),
        }
    }
}

/// Walks all waiting jobs on the queue and takes off it those that have ended, which nobody would notice before they
/// are due, or are held back. Returns how many those were.
async fn remove_ended(keeper: &QueueKeeper, pool: &Pool) -> Result<u64, QueueingError> {
    let (mut cursor, mut removed) = (Some(WaitingCursor::START), 0);
    while let Some(at) = cursor {
        let (waiting, next) = keeper.queue.waiting(pool, at).await?;
        let gone = inactive(keeper, waiting).await?;
        if !gone.is_empty() {
            removed += keeper.queue.withdraw(pool, &gone).await?;
            // One that was resumed since then counts as queued, and must be.
            let back = keeper.store.active_of(&gone).await?;
            keeper.put_on_queue(&back, QueuedBy::AUDIT).await?;
        }
        cursor = next;
    }
    Ok(removed)
}

/// Those of the jobs that do not belong on the queue.
async fn inactive(keeper: &QueueKeeper, mut jobs: Vec<JobId>) -> Result<Vec<JobId>, QueueingError> {
    if !jobs.is_empty() {
        let active = keeper.store.active_of(&jobs).await?;
        let active: HashSet<JobId> = active.into_iter().map(|job| job.job).collect();
        jobs.retain(|job| !active.contains(job));
    }
    Ok(jobs)
}

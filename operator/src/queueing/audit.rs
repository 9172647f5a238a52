//! Notices when Redis has lost something, and puts it back.

use std::time::{Duration, Instant};

use domain::Pool;
use runtime::{Outage, Shutdown};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::{QueueKeeper, QueueingError};
use crate::metrics::QueuedBy;

/// The jobs of one page of Postgres.
const PAGE: u32 = 1000;

/// Keeps one pool's queue true until the process stops: lets its lease clock run, rebuilds it as soon as Redis was
/// emptied, restarted or failed over, and looks from time to time for jobs that are missing for any other reason.
pub async fn keep_true(keeper: QueueKeeper, pool: Pool, audit_every: Duration, shutdown: Shutdown) {
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

async fn look(keeper: &QueueKeeper, pool: &Pool, audit_is_due: bool) -> Result<(), QueueingError> {
    keeper.queue.tick(pool).await?;
    if !keeper.queue.is_current(pool).await? {
        rebuild(keeper, pool).await
    } else if audit_is_due {
        let missing = restore_missing(keeper, pool).await?;
        if missing > 0 {
            warn!(%pool, jobs = missing, "the queue had lost jobs; they are back");
        }
        Ok(())
    } else {
        Ok(())
    }
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

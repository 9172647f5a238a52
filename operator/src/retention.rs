//! Keeps the tables that everything works on small: moves what ended long ago into the history, and deletes what nobody
//! wants to keep. Runs on every replica, leader or not, and needs no Kubernetes; Postgres lets one move at a time.

mod export;
mod flags;

use std::time::Duration;

use runtime::{Outage, Shutdown};
use store::{Retirement, Store, StoreError};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tracing::info;

pub use export::{ExportFlags, export};
pub use flags::RetentionFlags;

use crate::metrics::Metrics;

/// The most rows of one statement: few enough that whoever waits for one of them does not notice.
const BATCH: u32 = 500;

/// Rests between two statements, so that whatever else uses Postgres comes first.
const REST: Duration = Duration::from_millis(20);

/// Makes a pass now and then until the process stops. Without an age, nothing is ever touched.
pub(crate) async fn retain(store: Store, flags: RetentionFlags, metrics: Metrics, shutdown: Shutdown) {
    let mut ticks = interval(flags.retention_every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let outage = Outage::of("retention");
    while shutdown.unless_requested(ticks.tick()).await.is_some() {
        // Cut short by a stop, a pass is gone on with by the next process: each statement stands alone.
        let Some(passed) = shutdown.unless_requested(pass(&store, &flags, &metrics)).await else {
            return;
        };
        outage.note(&passed);
    }
}

/// Makes the steps that are asked for, each also when one before failed that it does not build on; the first failure is told.
async fn pass(store: &Store, flags: &RetentionFlags, metrics: &Metrics) -> Result<(), StoreError> {
    let began = Instant::now();
    let (mut moved, mut dropped, mut deleted) = (Ok(0), Ok(0), Ok(0));
    if let Some(age) = flags.retain_jobs {
        moved = retire_jobs(store, age, metrics).await;
    }
    // That a submission was scored is known by the history, so what of both is due when this begins goes in this order.
    if let Some(age) = flags.retain_submissions {
        deleted = drop_submissions(store, age).await;
    }
    if let Some(age) = flags.retain_history
        && deleted.is_ok()
    {
        dropped = drop_history(store, age, began).await;
    }
    let (moved, dropped, deleted) = (moved?, dropped?, deleted?);
    if moved + dropped + deleted > 0 {
        info!(
            moved,
            dropped, deleted, "jobs moved into the history, jobs deleted from it, submissions deleted"
        );
    }
    Ok(())
}

async fn retire_jobs(store: &Store, age: Duration, metrics: &Metrics) -> Result<u64, StoreError> {
    let (mut tenant, mut moved) = (store.next_tenant(None).await?, 0);
    while let Some(name) = tenant {
        let mut after = None;
        loop {
            match store.retire(&name, age, after, BATCH).await? {
                Retirement::Moved(retired) => {
                    metrics.retired.inc_by(retired.jobs);
                    moved += retired.jobs;
                    after = Some(retired);
                }
                Retirement::Done => break,
                // It does the same work.
                Retirement::AnotherMoves => return Ok(moved),
            }
            sleep(REST).await;
        }
        tenant = store.next_tenant(Some(&name)).await?;
    }
    Ok(moved)
}

/// Deletes what was this old already when the pass began.
async fn drop_history(store: &Store, age: Duration, began: Instant) -> Result<u64, StoreError> {
    let mut dropped = 0;
    loop {
        match store.drop_history(age + began.elapsed(), BATCH).await? {
            0 => return Ok(dropped),
            jobs => dropped += jobs,
        }
        sleep(REST).await;
    }
}

async fn drop_submissions(store: &Store, age: Duration) -> Result<u64, StoreError> {
    let (mut after, mut deleted) = (None, 0);
    while let Some(page) = store.drop_submissions(age, after, BATCH).await? {
        after = Some(page.last);
        deleted += page.deleted;
        sleep(REST).await;
    }
    Ok(deleted)
}

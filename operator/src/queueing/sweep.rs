//! Queues straight from Postgres what nobody has queued in time, because Kubernetes is away or the leader is busy.

use std::time::{Duration, SystemTime};

use runtime::{Outage, Shutdown};
use tokio::time::{MissedTickBehavior, interval};
use tracing::debug;

use super::{QueueKeeper, QueueingError};
use crate::metrics::QueuedBy;
use crate::traces;

/// How often the sweep looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The most jobs of one page.
const PAGE: u32 = 1000;

/// Sweeps until the process stops.
pub(crate) async fn sweep(keeper: QueueKeeper, sweep_after: Duration, shutdown: Shutdown) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let outage = Outage::of("sweeping");
    while shutdown.unless_requested(ticks.tick()).await.is_some() {
        let swept = sweep_once(&keeper, sweep_after).await;
        outage.note(&swept);
        if let Ok(jobs @ 1..) = swept {
            debug!(jobs, "queued straight from Postgres what was not queued in time");
        }
    }
}

/// Queues everything that is due and older than `sweep_after`. Returns how many jobs that were.
async fn sweep_once(keeper: &QueueKeeper, sweep_after: Duration) -> Result<usize, QueueingError> {
    let mut queued = 0;
    loop {
        let jobs = keeper.store.unqueued(PAGE, sweep_after).await?;
        if jobs.is_empty() {
            return Ok(queued);
        }
        let began = SystemTime::now();
        keeper.put_on_queue(&jobs, QueuedBy::SWEEP).await?;
        traces::queued(&jobs, QueuedBy::SWEEP, &(began..SystemTime::now()));
        queued += jobs.len();
        // Another replica has the same page in hand.
        if keeper.note(&jobs).await? == 0 {
            return Ok(queued);
        }
    }
}

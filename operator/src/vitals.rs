//! How things stand, looked at every few seconds on every replica: the queues, and how far resources lag behind.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::Pool;
use queue::QueueError;
use runtime::metrics::Dependency;
use runtime::{Outage, Shutdown};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::metrics::Metrics;
use crate::queueing::QueueKeeper;

const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Looks until the process stops, at the queues of the pools that are known by then.
pub(crate) async fn watch_over(
    keeper: QueueKeeper,
    pools: watch::Receiver<Vec<Pool>>,
    metrics: Metrics,
    shutdown: Shutdown,
) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let redis = Outage::shown_by("Redis", metrics.dependencies.away(Dependency::REDIS));
    let postgres = Outage::shown_by("Postgres", metrics.dependencies.away(Dependency::POSTGRES));
    while shutdown.unless_requested(ticks.tick()).await.is_some() {
        let pools = pools.borrow().clone();
        let (queues, lag) = tokio::join!(look_at_queues(&keeper, &pools, &metrics), keeper.store.lag());
        redis.note(&queues);
        postgres.note(&lag);
        match lag {
            Ok(lag) => metrics.lag(lag),
            Err(_) => metrics.forget_lag(),
        }
    }
}

/// In a cluster, each pool may be at another primary, so that one may be away and the others not.
async fn look_at_queues(keeper: &QueueKeeper, pools: &[Pool], metrics: &Metrics) -> Result<(), QueueError> {
    let mut all = Ok(());
    for pool in pools {
        match keeper.queue.depth(pool).await {
            Ok(depth) => metrics.queue(pool, depth, now_ms()),
            Err(error) => {
                metrics.forget_queue(pool);
                all = Err(error);
            }
        }
    }
    all
}

/// By this machine's clock. A job's age is off by as much as that differs from the clock of Postgres.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

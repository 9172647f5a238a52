//! Which pools there are.

use std::collections::HashSet;
use std::panic::resume_unwind;
use std::time::Duration;

use domain::Pool;
use runtime::{Outage, Shutdown};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use super::QueueKeeper;
use super::audit::keep_true;

/// Keeps the queues of the configured pools true, and of every other that has active jobs: a gateway may know more
/// pools than this operator does. Runs until the process stops. `pools` has the configured ones, and is told of others.
pub(crate) async fn keep_all_true(
    keeper: QueueKeeper,
    pools: watch::Sender<Vec<Pool>>,
    audit_every: Duration,
    shutdown: Shutdown,
) {
    let mut known: HashSet<Pool> = HashSet::new();
    let mut kept = JoinSet::new();
    let keep = |pool: &Pool| keep_true(keeper.clone(), pool.clone(), audit_every, shutdown.clone());
    for pool in pools.borrow().clone() {
        if known.insert(pool.clone()) {
            kept.spawn(keep(&pool));
        }
    }
    let mut looks = interval(audit_every);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let outage = Outage::of("finding the pools of active jobs");
    loop {
        tokio::select! {
            look = shutdown.unless_requested(looks.tick()) => {
                if look.is_none() {
                    break;
                }
                let found = keeper.store.active_pools().await;
                outage.note(&found);
                for pool in found.into_iter().flatten() {
                    if known.insert(pool.clone()) {
                        warn!(%pool, "jobs of a pool that is not configured here: its queue is kept true all the same");
                        kept.spawn(keep(&pool));
                        pools.send_modify(|pools| pools.push(pool));
                    }
                }
            }
            Some(Err(ended)) = kept.join_next() => {
                // A panic there is one here, and takes the process with it, to be restarted.
                if let Ok(panic) = ended.try_into_panic() {
                    resume_unwind(panic);
                }
            }
        }
    }
    kept.join_all().await;
}

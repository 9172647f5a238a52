//! The loop that takes jobs off the queue.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use domain::{Claim, Epoch};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use queue::{Claimed, Waiter};
use runtime::Shutdown;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

use crate::attempt::Attempts;
use crate::leases::LeaseEnd;
use crate::slots::{Permit, Slots};
use crate::traces::Claiming;

/// How long to wait before Redis is asked again after it did not answer.
const PAUSE_WITHOUT_REDIS: Duration = Duration::from_millis(250);

/// Claims as many jobs as there are free slots, each time there are any, until the stop is asked for.
pub(crate) async fn claim_until_stopped(
    attempts: Arc<Attempts>,
    slots: Slots,
    tasks: &TaskTracker,
    shutdown: &Shutdown,
) {
    let mut waiter = attempts.leases.waiter();
    while let Some(permits) = shutdown.unless_requested(slots.all_free()).await {
        let began = SystemTime::now();
        // Not interrupted by the stop: a claim whose answer nobody reads would wait until its lease ends.
        let claimed = attempts.leases.claim(permits.len()).await;
        let Ok(Claimed { claims, expired, next_event }) = claimed else {
            drop(permits);
            shutdown.unless_requested(sleep(PAUSE_WITHOUT_REDIS)).await;
            continue;
        };
        if shutdown.is_requested() {
            hand_back(&attempts, claims, tasks);
            break;
        }
        let queue_is_empty = claims.len() < permits.len();
        attempts.metrics.claims.inc_by(claims.len() as u64);
        let expired = |claim: &Claim| expired.get(&claim.job).copied().unwrap_or(Epoch::NONE);
        let claiming = Claiming { when: began..SystemTime::now(), jobs: claims.len() };
        let claims = claims.into_iter().map(|claim| (claim, expired(&claim))).zip(permits);
        tasks.spawn(work_off(attempts.clone(), claims.collect(), claiming));
        if queue_is_empty {
            wait(&mut waiter, next_event, attempts.leases.longest_rest(), shutdown).await;
        }
    }
}

/// Works on jobs claimed together. They share a task, so that what they hand in at the same time arrives together,
/// and one statement serves them all; other than that they go their own ways.
async fn work_off(attempts: Arc<Attempts>, claims: Vec<((Claim, Epoch), Permit)>, claiming: Claiming) {
    let each = |((claim, expired), permit)| {
        AssertUnwindSafe(attempts.make(claim, expired, permit, &claiming)).catch_unwind()
    };
    let mut under_way: FuturesUnordered<_> = claims.into_iter().map(each).collect();
    while let Some(ended) = under_way.next().await {
        if ended.is_err() {
            error!("the handling of a job panicked; its lease runs out, and another scorer takes it");
        }
    }
}

/// Waits until there may be something to claim. A marker wakes it, or the next due job or ending lease, or else
/// boredom, since markers get lost.
async fn wait(waiter: &mut Waiter, next_event: Option<Duration>, longest: Duration, shutdown: &Shutdown) {
    let at_most = next_event.map_or(longest, |event| event.min(longest));
    shutdown.unless_requested(waiter.wait(at_most)).await;
}

/// Puts back what was claimed while the stop was asked for. Nothing of it was started, so no attempt is spent.
fn hand_back(attempts: &Arc<Attempts>, claims: Vec<Claim>, tasks: &TaskTracker) {
    if !claims.is_empty() {
        info!(jobs = claims.len(), "handing back what was claimed and not started");
    }
    for claim in claims {
        let attempts = attempts.clone();
        tasks.spawn(async move { attempts.leases.end(LeaseEnd::release(claim, Duration::ZERO)).await });
    }
}

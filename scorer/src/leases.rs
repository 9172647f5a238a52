//! Leases of one pool's queue: taking them and giving them up, many in one call.

use std::sync::Arc;
use std::time::Duration;

use domain::{Claim, Epoch, Pool};
use queue::{Adopt, Adoption, Claimed, Queue, QueueError, Release, Renewal, Waiter};
use runtime::metrics::Dependency;
use runtime::{GroupCommit, Outage};

use crate::metrics::{LEASE, Metrics};

/// The most leases that one call ends.
const LARGEST_BATCH: usize = 256;

/// The leases of one pool.
#[derive(Clone, Debug)]
pub(crate) struct Leases {
    queue: Queue,
    pool: Pool,
    outage: Arc<Outage>,
    ends: GroupCommit<LeaseEnd, (), QueueError>,
}

/// What becomes of a lease whose work is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaseEnd {
    /// There is nothing more to do: it is dropped.
    Finish(Claim),
    /// The job returns to the queue.
    Release(Release),
}

impl LeaseEnd {
    /// The job returns to the queue after a delay.
    pub(crate) fn release(claim: Claim, delay: Duration) -> LeaseEnd {
        LeaseEnd::release_above(claim, delay, claim.epoch)
    }

    /// The job returns to the queue, and its next claim gets an epoch above `floor`.
    pub(crate) fn release_above(claim: Claim, delay: Duration, floor: Epoch) -> LeaseEnd {
        LeaseEnd::Release(Release { claim, delay, floor })
    }
}

impl Leases {
    pub(crate) fn new(queue: Queue, pool: Pool, metrics: &Metrics) -> Leases {
        let outage = Arc::new(Outage::shown_by("Redis", metrics.dependencies.away(Dependency::REDIS)));
        let ends = GroupCommit::measured("lease", LARGEST_BATCH, metrics.commits.of(LEASE), {
            let (queue, pool, outage) = (queue.clone(), pool.clone(), outage.clone());
            move |ends: Vec<LeaseEnd>| {
                let (queue, pool, outage) = (queue.clone(), pool.clone(), outage.clone());
                async move {
                    let ended = end_all(&queue, &pool, &ends).await;
                    outage.note(&ended);
                    ended
                }
            }
        });
        Leases { queue, pool, outage, ends }
    }

    pub(crate) fn waiter(&self) -> Waiter {
        self.queue.waiter(&self.pool)
    }

    pub(crate) fn longest_rest(&self) -> Duration {
        self.queue.longest_rest()
    }

    pub(crate) fn renew_every(&self) -> Duration {
        self.queue.lease().renew_every()
    }

    pub(crate) async fn claim(&self, max: usize) -> Result<Claimed, QueueError> {
        self.noted(self.queue.claim(&self.pool, max).await)
    }

    pub(crate) async fn renew(&self, claims: &[Claim]) -> Result<Vec<Renewal>, QueueError> {
        self.noted(self.queue.renew(&self.pool, claims).await)
    }

    pub(crate) async fn adopt(&self, claims: &[Adopt]) -> Result<Vec<Adoption>, QueueError> {
        self.noted(self.queue.adopt(&self.pool, claims).await)
    }

    /// Ends a lease. Without Redis it runs out by itself: a job that has ended is then dropped at its next claim, and
    /// one that is to be tried again is.
    pub(crate) async fn end(&self, end: LeaseEnd) {
        // The outage was noted where it was met.
        let _ = self.ends.submit(end).await;
    }

    fn noted<T>(&self, result: Result<T, QueueError>) -> Result<T, QueueError> {
        self.outage.note(&result);
        result
    }
}

async fn end_all(queue: &Queue, pool: &Pool, ends: &[LeaseEnd]) -> Result<Vec<()>, QueueError> {
    let (mut finished, mut released) = (Vec::new(), Vec::new());
    for end in ends {
        match end {
            LeaseEnd::Finish(claim) => finished.push(*claim),
            LeaseEnd::Release(release) => released.push(*release),
        }
    }
    // For no items, neither calls Redis.
    queue.finish(pool, &finished).await?;
    queue.release(pool, &released).await?;
    Ok(vec![(); ends.len()])
}

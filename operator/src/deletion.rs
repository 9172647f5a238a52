//! What deleting a resource means for the queue.

use std::collections::HashMap;

use domain::{JobId, Pool};
use queue::Queue;
use runtime::in_full;
use store::CancelledJob;
use tracing::warn;

/// Who cancels, for the audit log.
pub(crate) const BY_DELETION: &str = "operator";

/// Why, in words.
pub(crate) const WHY_DELETED: &str = "its resource was deleted";

/// Takes cancelled jobs off the queue, and tells those who wait for them. Only a courtesy to whoever reads its depth: a job that has ended is dropped
/// when it is claimed, so Redis may be away.
pub(crate) async fn take_off_queue(jobs: &[CancelledJob], queue: &Queue) {
    let mut by_pool: HashMap<&Pool, Vec<JobId>> = HashMap::new();
    for cancelled in jobs {
        by_pool.entry(&cancelled.pool).or_default().push(cancelled.job);
    }
    for (pool, jobs) in by_pool {
        let told = queue.announce(pool, &jobs).await;
        if let Err(error) = told.and(queue.cancel(pool, &jobs).await.map(drop)) {
            warn!(%pool, error = in_full(&error), "cannot take cancelled jobs off the queue; they are dropped when claimed");
        }
    }
}

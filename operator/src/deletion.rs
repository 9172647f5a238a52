//! What was deleted, and what that means for the queue.

use std::collections::HashMap;

use domain::{JobId, Pool};
use futures::{Stream, StreamExt};
use queue::Queue;
use runtime::in_full;
use store::CancelledJob;
use tracing::warn;

use crate::cluster::ClusterError;

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

/// What is gone, by these looks at it. One that fails keeps nobody from knowing the others: the first error is told beside them.
pub(crate) async fn gone_of<T>(
    looks: impl Stream<Item = Result<Option<T>, ClusterError>>,
) -> (Vec<T>, Result<(), ClusterError>) {
    let (mut gone, mut known) = (Vec::new(), Ok(()));
    let mut looks = std::pin::pin!(looks);
    while let Some(look) = looks.next().await {
        match look {
            Ok(found) => gone.extend(found),
            Err(error) => known = known.and(Err(error)),
        }
    }
    (gone, known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_look_that_fails_keeps_nobody_from_knowing_the_others() {
        let looks = [Ok(Some(1)), Err(ClusterError::Timeout), Ok(None), Ok(Some(2))];
        let (gone, known) = gone_of(futures::stream::iter(looks)).await;
        assert_eq!(gone, [1, 2]);
        assert!(known.is_err());
    }
}

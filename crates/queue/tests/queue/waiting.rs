//! Walking over the jobs that wait.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::JobId;
use queue::{Enqueue, WaitingCursor};
use uuid::Uuid;

use crate::fixture::{Fixture, waiting};

/// All that the walk meets, and how many pages that takes.
async fn walk(test: &Fixture) -> (BTreeSet<JobId>, usize) {
    let (mut met, mut pages, mut cursor) = (BTreeSet::new(), 0, Some(WaitingCursor::START));
    while let Some(at) = cursor {
        let (jobs, next) = test.queue.waiting(&test.pool, at).await.expect("waiting");
        met.extend(jobs);
        (cursor, pages) = (next, pages + 1);
    }
    (met, pages)
}

#[tokio::test]
async fn a_walk_over_the_waiting_jobs_meets_all_of_them_page_by_page_and_no_leased_one() {
    let test = Fixture::new().await;
    assert_eq!(walk(&test).await, (BTreeSet::new(), 2));
    let mut jobs: BTreeSet<JobId> = test.enqueue_new(2_500).await.into_iter().collect();
    let delay = Duration::from_secs(60);
    let later: Vec<Enqueue> =
        (0..1_500).map(|age| Enqueue { delay, ..waiting(Uuid::now_v7(), 5, age) }).collect();
    test.enqueue(&later).await;
    jobs.extend(later.iter().map(|item| item.job));
    jobs.remove(&test.claim_one().await.job);
    let (met, pages) = walk(&test).await;
    assert_eq!(met, jobs);
    assert!(pages >= 4, "{pages} pages");
}

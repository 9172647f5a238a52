//! Many claimers at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::Barrier;

use crate::fixture::{Fixture, connect};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_claimers_never_get_the_same_job() {
    const CLAIMERS: usize = 8;
    const JOBS: u64 = 2000;
    let test = Fixture::new().await;
    test.enqueue_new(JOBS).await;
    let url = testkit::redis_url().await.expect("a Redis for tests");
    let barrier = Arc::new(Barrier::new(CLAIMERS));
    let claimers: Vec<_> = (0..CLAIMERS)
        .map(|number| {
            let (queue, pool, barrier) = (connect(&url), test.pool.clone(), Arc::clone(&barrier));
            tokio::spawn(async move {
                let mut claims = Vec::new();
                barrier.wait().await;
                loop {
                    let more = queue.claim(&pool, number + 1).await.expect("claim").claims;
                    if more.is_empty() {
                        return claims;
                    }
                    claims.extend(more);
                }
            })
        })
        .collect();
    let (mut jobs, mut epochs) = (BTreeSet::new(), BTreeSet::new());
    for claimer in claimers {
        let claims = claimer.await.expect("a task");
        assert!(claims.is_sorted_by_key(|claim| claim.epoch));
        for claim in claims {
            assert!(jobs.insert(claim.job), "claimed twice: {claim:?}");
            assert!(epochs.insert(claim.epoch), "an epoch handed out twice: {claim:?}");
        }
    }
    assert_eq!(jobs.len() as u64, JOBS);
}

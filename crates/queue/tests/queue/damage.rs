//! Keys that somebody else has changed.

use std::time::Duration;

use domain::{Epoch, JobId};
use queue::{Depth, Enqueue, QueueError, Release};
use uuid::Uuid;

use crate::fixture::{Fixture, waiting};

/// Deletes one job's field of a hash.
async fn forget(test: &mut Fixture, hash: &str, job: JobId) {
    let mut command = redis::cmd("HDEL");
    command.arg(test.key(hash)).arg(job.to_string()).exec_async(&mut test.raw).await.expect("HDEL");
}

#[tokio::test]
async fn a_job_without_a_rank_returns_to_the_ready_ones_all_the_same() {
    let mut test = Fixture::new().await;
    let jobs = test.enqueue_new(2).await;
    let later = Enqueue { delay: Duration::from_secs(60), ..waiting(Uuid::now_v7(), 5, 0) };
    test.enqueue(&[later]).await;
    let claims = test.claim(2).await;
    for job in [jobs[0], jobs[1], later.job] {
        forget(&mut test, "ranks", job).await;
    }
    let release = Release { claim: claims[0], delay: Duration::ZERO, floor: claims[0].epoch };
    assert_eq!(test.queue.release(&test.pool, &[release]).await.expect("release"), 1);
    test.expire(jobs[1]).await;
    test.reschedule("delayed", later.job, 1).await;
    assert_eq!(test.claim(3).await.len(), 3);
}

#[tokio::test]
async fn half_a_lease_gives_way_to_the_row() {
    let mut test = Fixture::new().await;
    let jobs = test.enqueue_new(3).await;
    let claims = test.claim(3).await;
    forget(&mut test, "epochs", jobs[0]).await;
    for job in &jobs[1..] {
        let mut command = redis::cmd("ZREM");
        command.arg(test.key("leases")).arg(job.to_string()).exec_async(&mut test.raw).await.expect("ZREM");
    }
    let running = Enqueue { epoch: claims[1].epoch, leased: true, ..waiting(jobs[1], 5, 1) };
    assert_eq!(test.enqueue(&[waiting(jobs[0], 5, 0), running, waiting(jobs[2], 5, 2)]).await, 3);
    let depth = test.queue.depth(&test.pool).await.expect("depth");
    assert_eq!((depth.ready, depth.leased), (2, 1));
    assert_eq!(test.queue.finish(&test.pool, &claims).await.expect("finish"), 1, "of the one that runs");
}

#[tokio::test]
async fn a_queue_that_no_script_can_work_with_is_a_defect_until_it_is_discarded() {
    let mut test = Fixture::new().await;
    test.rebuild().await;
    let jobs = test.enqueue_new(1).await;
    for key in ["ready", "epoch", "wake", "rebuilds"] {
        test.flush_key(key).await;
        let mut command = redis::cmd("SADD");
        command.arg(test.key(key)).arg("no such type").exec_async(&mut test.raw).await.expect("SADD");
    }
    let (queue, pool) = (&test.queue, &test.pool);
    let error = queue.tick(pool).await.expect_err("the keys are of another type");
    assert!(matches!(error, QueueError::Defect { .. }), "{error}");
    queue.discard(pool).await.expect("discard");
    assert!(!queue.is_current(pool).await.expect("is_current"));
    assert_eq!(queue.depth(pool).await.expect("depth"), Depth::default());
    test.enqueue(&[Enqueue { epoch: Epoch(7), ..waiting(jobs[0], 5, 0) }]).await;
    test.rebuild().await;
    assert!(test.claim_one().await.epoch > Epoch(7));
}

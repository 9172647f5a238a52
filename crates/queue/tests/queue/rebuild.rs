//! Noticing losses.

use domain::Epoch;
use queue::Enqueue;
use testkit::{Place, Server, TempFolder};

use crate::fixture::{Fixture, start, waiting};

#[tokio::test]
async fn a_queue_is_current_after_a_rebuild_and_not_before() {
    let test = Fixture::new().await;
    assert!(!test.queue.is_current(&test.pool).await.expect("is_current"));
    test.rebuild().await;
    assert!(test.queue.is_current(&test.pool).await.expect("is_current"));
}

#[tokio::test]
async fn an_emptied_queue_is_not_current() {
    let mut test = Fixture::new().await;
    test.rebuild().await;
    test.flush().await;
    assert!(!test.queue.is_current(&test.pool).await.expect("is_current"));
}

#[tokio::test]
async fn a_rebuild_interrupted_by_a_flush_is_not_complete() {
    let mut test = Fixture::new().await;
    let rebuild = test.queue.begin_rebuild(&test.pool).await.expect("begin");
    test.enqueue_new(1).await;
    test.flush().await;
    assert!(!test.queue.complete_rebuild(&test.pool, &rebuild).await.expect("complete"));
    assert!(!test.queue.is_current(&test.pool).await.expect("is_current"));
}

#[tokio::test]
async fn two_rebuilds_at_once_both_complete() {
    let test = Fixture::new().await;
    let first = test.queue.begin_rebuild(&test.pool).await.expect("begin");
    let second = test.queue.begin_rebuild(&test.pool).await.expect("begin");
    assert!(test.queue.complete_rebuild(&test.pool, &second).await.expect("complete"));
    assert!(test.queue.complete_rebuild(&test.pool, &first).await.expect("complete"));
}

#[tokio::test]
async fn a_rebuild_restores_leases_under_their_epochs() {
    let mut test = Fixture::new().await;
    let jobs = test.enqueue_new(2).await;
    let claim = test.claim_one().await;
    test.flush().await;
    let rebuild = test.queue.begin_rebuild(&test.pool).await.expect("begin");
    let running = Enqueue { epoch: claim.epoch, leased: true, ..waiting(jobs[0], 5, 0) };
    assert_eq!(test.enqueue(&[running, waiting(jobs[1], 5, 1)]).await, 2);
    assert!(test.queue.complete_rebuild(&test.pool, &rebuild).await.expect("complete"));
    let other = test.claim_one().await;
    assert_eq!(other.job, jobs[1]);
    assert!(other.epoch > claim.epoch);
    assert_eq!(test.queue.finish(&test.pool, &[claim]).await.expect("finish"), 1);
}

#[tokio::test]
async fn a_lease_older_than_its_row_gives_way_to_the_row() {
    let test = Fixture::new().await;
    let jobs = test.enqueue_new(2).await;
    let old = test.claim(2).await;
    let epoch = Epoch(old[1].epoch.0 + 1_000_000);
    let running = Enqueue { epoch, leased: true, ..waiting(jobs[0], 5, 0) };
    let queued = Enqueue { epoch, ..waiting(jobs[1], 5, 0) };
    assert_eq!(test.enqueue(&[running, queued]).await, 2);
    assert_eq!(test.queue.finish(&test.pool, &old).await.expect("finish"), 0);
    let claim = test.claim_one().await;
    assert_eq!(claim.job, jobs[1]);
    assert!(claim.epoch > epoch);
}

#[tokio::test]
async fn restart_from_an_old_snapshot_is_noticed() {
    let folder = TempFolder::new().expect("a folder");
    let port = testkit::free_port().expect("a port");
    let place = Place::owned(folder.path());
    let data = place.folder("redis").expect("a folder");
    let data = data.to_str().expect("a path");
    let launch = place.launch("redis", "redis-server").args([
        "--bind",
        "127.0.0.1",
        "--port",
        &port.to_string(),
        "--save",
        "",
        "--dir",
        data,
    ]);
    let server = Server::new(launch);
    start(&server, port).await;

    let url = format!("redis://127.0.0.1:{port}/");
    let mut test = Fixture::at(&url).await;
    test.rebuild().await;
    let jobs = test.enqueue_new(1).await;
    redis::cmd("SAVE").exec_async(&mut test.raw).await.expect("SAVE");
    let claim = test.claim_one().await;
    server.kill9().await.expect("kill");
    start(&server, port).await;

    let (queue, pool) = (&test.queue, &test.pool);
    assert!(!queue.is_current(pool).await.expect("is_current"));
    assert_eq!(queue.depth(pool).await.expect("depth").ready, 1, "the snapshot was loaded");
    assert!(test.claim(1).await.is_empty(), "somebody holds this job, and the snapshot does not know it");

    let rebuild = queue.begin_rebuild(pool).await.expect("begin");
    let running = Enqueue { epoch: claim.epoch, leased: true, ..waiting(jobs[0], 5, 0) };
    assert_eq!(test.enqueue(&[running]).await, 1, "what the snapshot knew is forgotten");
    assert!(queue.complete_rebuild(pool, &rebuild).await.expect("complete"));
    assert!(queue.is_current(pool).await.expect("is_current"));
    assert!(test.claim(1).await.is_empty());
    assert_eq!(queue.finish(pool, &[claim]).await.expect("finish"), 1);
}

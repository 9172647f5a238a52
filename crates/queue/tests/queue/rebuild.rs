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
    let (server, port, _folder) = plain_redis().await;
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

#[tokio::test]
async fn a_failover_there_and_back_is_noticed() {
    let (_first, port, _folder) = plain_redis().await;
    let (_second, other_port, _other_folder) = plain_redis().await;
    let mut test = Fixture::at(&format!("redis://127.0.0.1:{port}/")).await;
    let mut other = Fixture::at(&format!("redis://127.0.0.1:{other_port}/")).await;
    follow(&mut other, port, &mut test).await;
    test.rebuild().await;
    test.enqueue_new(1).await;
    replicated(&mut test).await;

    // The second server takes over, and hands the data back to the first.
    lead(&mut other).await;
    follow(&mut test, other_port, &mut other).await;
    lead(&mut test).await;

    let (queue, pool) = (&test.queue, &test.pool);
    assert_eq!(queue.depth(pool).await.expect("depth").ready, 1);
    assert!(!queue.is_current(pool).await.expect("is_current"));
    assert!(test.claim(1).await.is_empty(), "somebody may hold this job by what only the first server knew");
}

/// A Redis that keeps nothing by itself and has no settings of ours, its port, and the folder that it needs.
async fn plain_redis() -> (Server, u16, TempFolder) {
    let folder = TempFolder::new().expect("a folder");
    let port = testkit::free_port().expect("a port");
    let place = Place::owned(folder.path());
    let data = place.folder("redis").expect("a folder");
    let data = data.to_str().expect("a path");
    let port_text = port.to_string();
    let arguments = ["--bind", "127.0.0.1", "--port", &port_text, "--save", "", "--dir", data];
    let server = Server::new(place.launch("redis", "redis-server").args(arguments));
    start(&server, port).await;
    (server, port, folder)
}

/// Makes a server the replica of the one at the port, and waits until it is.
async fn follow(replica: &mut Fixture, port: u16, primary: &mut Fixture) {
    let mut command = redis::cmd("REPLICAOF");
    command.arg("127.0.0.1").arg(port).exec_async(&mut replica.raw).await.expect("REPLICAOF");
    replicated(primary).await;
}

async fn lead(replica: &mut Fixture) {
    let mut command = redis::cmd("REPLICAOF");
    command.arg("NO").arg("ONE").exec_async(&mut replica.raw).await.expect("REPLICAOF");
}

/// Waits until the primary's replica has all that the primary has.
async fn replicated(primary: &mut Fixture) {
    redis::cmd("SET").arg("any").arg(1).exec_async(&mut primary.raw).await.expect("SET");
    // The client bounds each answer to half a second.
    for _ in 0..100 {
        let mut command = redis::cmd("WAIT");
        let replicas: u64 = command.arg(1).arg(200).query_async(&mut primary.raw).await.expect("WAIT");
        if replicas == 1 {
            return;
        }
    }
    panic!("no replica ever had everything");
}

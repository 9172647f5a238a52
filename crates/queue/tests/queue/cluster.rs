//! The scripts under the rules of Redis Cluster.

use std::time::Duration;

use domain::Rank;
use queue::{Adopt, Depth, Enqueue, Release, WaitingCursor};
use testkit::{Place, Server, TempFolder};
use uuid::Uuid;

use crate::fixture::{Fixture, priority, start, waiting};

/// One node that has all slots still refuses a script that touches keys of two slots.
#[tokio::test]
async fn every_script_runs_on_a_node_of_a_cluster() {
    let folder = TempFolder::new().expect("a folder");
    let place = Place::owned(folder.path());
    let data = place.folder("redis").expect("a folder");
    let port = testkit::free_port().expect("a port");
    let launch = place.launch("redis", "redis-server").args(
        [
            ["--bind", "127.0.0.1"],
            ["--port", &port.to_string()],
            ["--save", ""],
            ["--cluster-enabled", "yes"],
            ["--cluster-port", &testkit::free_port().expect("a port").to_string()],
            ["--dir", data.to_str().expect("a path")],
        ]
        .concat(),
    );
    let server = Server::new(launch);
    start(&server, port).await;
    let mut test = Fixture::at(&format!("redis://127.0.0.1:{port}/")).await;
    let mut slots = redis::cmd("CLUSTER");
    slots.arg("ADDSLOTSRANGE").arg(0).arg(16383).exec_async(&mut test.raw).await.expect("slots");
    until_whole(&mut test).await;

    test.rebuild().await;
    let (queue, pool) = (&test.queue, &test.pool);
    assert!(queue.is_current(pool).await.expect("is_current"));
    let later = Enqueue { delay: Duration::from_secs(60), ..waiting(Uuid::now_v7(), 5, 0) };
    test.enqueue(&[waiting(Uuid::now_v7(), 5, 0), waiting(Uuid::now_v7(), 5, 1), later]).await;
    assert!(queue.waiter(pool).wait(Duration::from_secs(5)).await);
    let claims = test.claim(2).await;
    queue.renew(pool, &claims).await.expect("renew");
    let adopt = Adopt { claim: claims[0], rank: Rank::new(priority(5), 0) };
    queue.adopt(pool, &[adopt]).await.expect("adopt");
    let release = Release { claim: claims[0], delay: Duration::from_secs(9), floor: claims[0].epoch };
    queue.release(pool, &[release]).await.expect("release");
    queue.finish(pool, &claims[1..]).await.expect("finish");
    assert_eq!(queue.withdraw(pool, &[later.job]).await.expect("withdraw"), 1);
    assert_eq!(queue.cancel(pool, &[claims[0].job]).await.expect("cancel"), 1);
    assert_eq!(queue.depth(pool).await.expect("depth"), Depth::default());
    queue.waiting(pool, WaitingCursor::START).await.expect("waiting");
    queue.discard(pool).await.expect("discard");
}

async fn until_whole(test: &mut Fixture) {
    for _ in 0..5_000 {
        let mut command = redis::cmd("CLUSTER");
        let info: String = command.arg("INFO").query_async(&mut test.raw).await.expect("CLUSTER INFO");
        if info.contains("cluster_state:ok") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("the cluster never became whole");
}

//! Redis Cluster: three primaries and a replica of each.

use std::time::Duration;

use queue::{Adopt, Depth, Enqueue, Release, ScorerLoad, WaitingCursor};
use testkit::{Link, RedisCluster, Weather};
use tokio::time::Instant;
use uuid::Uuid;

use crate::fixture::{connect, rank, waiting};
use crate::recovery::Running;

async fn cluster() -> RedisCluster {
    RedisCluster::start().await.expect("a cluster")
}

#[tokio::test]
async fn every_script_runs_on_each_primary_of_a_cluster() {
    let cluster = cluster().await;
    let queue = connect(&cluster.url());
    let mut met = Vec::new();
    for number in 0.. {
        let pool = format!("pool-{number}").parse().expect("a pool");
        let primary = cluster.primary_of(&format!("{{assay:{pool}}}:ready")).await.expect("a primary").port();
        if met.contains(&primary) {
            continue;
        }
        let (queue, pool) = (&queue, &pool);
        let rebuild = queue.begin_rebuild(pool).await.expect("begin");
        assert!(queue.complete_rebuild(pool, &rebuild).await.expect("complete"));
        assert!(queue.is_current(pool).await.expect("is_current"));
        let later = Enqueue { delay: Duration::from_secs(60), ..waiting(Uuid::now_v7(), 5, 0) };
        let jobs = [waiting(Uuid::now_v7(), 5, 0), waiting(Uuid::now_v7(), 5, 1), later];
        assert_eq!(queue.enqueue(pool, &jobs).await.expect("enqueue"), 3);
        assert!(queue.waiter(pool).wait(Duration::from_secs(5)).await);
        let claims = queue.claim(pool, 2).await.expect("claim").claims;
        queue.renew(pool, &claims).await.expect("renew");
        let adopt = Adopt { claim: claims[0], rank: rank(5, 0) };
        queue.adopt(pool, &[adopt]).await.expect("adopt");
        let release = Release { claim: claims[0], delay: Duration::from_secs(9), floor: claims[0].epoch };
        queue.release(pool, &[release]).await.expect("release");
        queue.finish(pool, &claims[1..]).await.expect("finish");
        assert_eq!(queue.withdraw(pool, &[later.job]).await.expect("withdraw"), 1);
        assert_eq!(queue.cancel(pool, &[claims[0].job]).await.expect("cancel"), 1);
        assert_eq!(queue.depth(pool).await.expect("depth"), Depth { current: true, ..Depth::default() });
        queue.report_scorer(pool, "a", ScorerLoad { slots: 5, held: 0 }).await.expect("report");
        assert_eq!(queue.scorers(pool).await.expect("scorers").len(), 1);
        queue.dismiss_scorer(pool, "a").await.expect("dismiss");
        queue.waiting(pool, WaitingCursor::START).await.expect("waiting");
        queue.discard(pool).await.expect("discard");
        met.push(primary);
        if met.len() == 3 {
            break;
        }
    }
}

#[tokio::test]
async fn a_slot_that_moves_is_followed_with_all_that_is_in_it() {
    let cluster = cluster().await;
    let mut running = Running::on(connect(&cluster.url())).await;
    let queue = running.queue.clone();
    let (key, pool) = (running.key(), running.pool.clone());
    let moved = cluster.move_slot(&key, async || {
        // Half of its keys do not exist, so neither side can serve a script now. It must not take that for a defect,
        // upon which operators would throw the queue away.
        let error = queue.depth(&pool).await.expect_err("the slot is on its way");
        assert!(error.is_unavailable(), "{error}");
        Ok(())
    });
    let to = moved.await.expect("a slot that moves");
    // Not even the first call fails, and all is there.
    assert_eq!(running.queue.depth(&running.pool).await.expect("a reference that is followed").leased, 1);
    assert_eq!(cluster.primary_of(&key).await.expect("a primary").port(), to.port());
    running.until_reached().await;
    // But another server hands out the epochs now, and that counts as a loss.
    running.rebuild().await;
    running.serves().await;
}

#[tokio::test]
async fn a_replica_that_is_told_to_take_over_is_followed() {
    let cluster = cluster().await;
    let mut running = Running::on(connect(&cluster.url())).await;
    let key = running.key();
    let primary = cluster.primary_of(&key).await.expect("a primary");
    cluster.hand_over(primary, &key).await.expect("a failover");
    let took = running.until_reached().await;
    assert!(took < Duration::from_secs(2), "{took:?}");
    running.rebuild().await;
    running.serves().await;
}

#[tokio::test]
async fn a_killed_primary_is_replaced_and_followed_and_so_is_its_successor() {
    let cluster = cluster().await;
    let mut running = Running::on(connect(&cluster.url())).await;
    let key = running.key();
    let first = cluster.primary_of(&key).await.expect("a primary");
    first.kill9().await.expect("kill");
    let begun = Instant::now();
    assert!(!running.is_reached().await);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    cluster.until_replaced(first, &key).await.expect("a failover");
    let took = running.until_reached().await;
    assert!(took < Duration::from_secs(3), "{took:?} after the failover");
    running.rebuild().await;
    running.serves().await;

    // The other way about: the nodes of the URL alone would not do.
    first.start_again().await.expect("start");
    cluster.until_whole().await.expect("a whole cluster");
    let mut running = Running::on(connect(&cluster.url())).await;
    let key = running.key();
    let primary = cluster.primary_of(&key).await.expect("a primary");
    primary.kill9().await.expect("kill");
    cluster.until_replaced(primary, &key).await.expect("a failover");
    running.until_reached().await;
    running.rebuild().await;
    running.serves().await;
}

#[tokio::test]
async fn a_frozen_primary_is_replaced_and_followed() {
    let cluster = cluster().await;
    let mut running = Running::on(connect(&cluster.url())).await;
    let primary = cluster.primary_of(&running.key()).await.expect("a primary");
    primary.pause().await.expect("pause");
    running.until_away().await;
    // Neither the call under way nor the next ones may wait for the one that is silent.
    running.until_reached().await;
    running.rebuild().await;

    // When it wakes it takes itself for the primary, for a moment.
    primary.resume().expect("resume");
    running.until_reached().await;
    cluster.until_whole().await.expect("a whole cluster");
    running.serves().await;
}

#[tokio::test]
async fn without_any_node_every_call_fails_fast_and_with_one_that_is_silent_almost() {
    let ports = [testkit::free_port().expect("a port"), testkit::free_port().expect("a port")];
    let url = format!("redis+cluster://127.0.0.1:{},127.0.0.1:{}/", ports[0], ports[1]);
    let pool = "default".parse().expect("a pool");
    let begun = Instant::now();
    let error = connect(&url).claim(&pool, 1).await.expect_err("nobody listens");
    assert!(error.is_unavailable(), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());

    let cluster = cluster().await;
    let silent = Link::to(cluster.nodes()[0].port(), Weather::Stalled).await.expect("a link");
    let url = cluster.url().replace("://", &format!("://127.0.0.1:{},", silent.port()));
    let begun = Instant::now();
    connect(&url).depth(&pool).await.expect("the others answer");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

//! One Redis that is away for a while, or is found elsewhere afterwards.

use std::time::Duration;

use testkit::{Link, Weather};
use tokio::time::Instant;

use crate::fixture::{connect, own_redis};
use crate::recovery::Running;

#[tokio::test]
async fn after_a_restart_of_redis_leases_are_renewed_and_a_claimer_that_waits_is_woken() {
    let (redis, _folder) = own_redis().await;
    let mut running = Running::on(connect(&redis.url())).await;
    redis.kill9().await.expect("kill");
    assert!(!running.is_reached().await);
    redis.start_again().await.expect("start");
    running.until_reached().await;
    running.rebuild().await;
    running.serves().await;
}

#[tokio::test]
async fn after_redis_was_frozen_leases_are_renewed_and_a_claimer_that_waits_is_woken() {
    let (redis, _folder) = own_redis().await;
    let mut running = Running::on(connect(&redis.url())).await;
    redis.pause().await.expect("pause");
    let begun = Instant::now();
    assert!(!running.is_reached().await);
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    redis.resume().expect("resume");
    running.until_reached().await;
    running.serves().await;
}

#[tokio::test]
async fn a_peer_that_is_gone_without_a_word_is_replaced() {
    let (redis, _folder) = own_redis().await;
    let (link, url) = Link::to_url(&redis.url(), Weather::Fair).await.expect("a link");
    let mut running = Running::on(connect(&url)).await;
    // Open connections are dead for good, new ones work: a firewall that forgot them, or a node that was replaced.
    link.lose_connections();
    let took = running.until_reached().await;
    assert!(took < Duration::from_secs(12), "{took:?}");
    running.serves().await;
}

#[tokio::test]
async fn an_address_that_leads_elsewhere_is_followed_although_the_old_peer_is_silent() {
    let (first, _folder) = own_redis().await;
    let (second, _other_folder) = own_redis().await;
    let (link, url) = Link::to_url(&first.url(), Weather::Fair).await.expect("a link");
    let mut running = Running::on(connect(&url)).await;
    link.lead_to(second.port());
    running.until_reached().await;
    running.rebuild().await;
    assert_eq!(running.queue.depth(&running.pool).await.expect("depth").leased, 1);
    let keys = second.ask(&format!("EXISTS {{assay:{}}}:generation", running.pool)).await.expect("EXISTS");
    assert_eq!(keys, ["1"], "it is the other Redis that was asked");
    running.serves().await;
}

#[tokio::test]
async fn a_replica_is_no_place_to_read_from() {
    let (primary, _folder) = own_redis().await;
    let (replica, _other_folder) = own_redis().await;
    replica.ask(&format!("REPLICAOF 127.0.0.1 {}", primary.port())).await.expect("REPLICAOF");
    let running = Running::on(connect(&primary.url())).await;
    let error = connect(&replica.url()).is_current(&running.pool).await.expect_err("a replica");
    assert!(error.is_unavailable(), "{error}");
}

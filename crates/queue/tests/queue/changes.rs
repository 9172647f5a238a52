//! Announcing that jobs have changed.

use std::time::Duration;

use domain::JobId;
use queue::{Announcer, Heard, Listener};
use tokio::time::{Instant, timeout};

use crate::fixture::{Fixture, own_redis};

const LONG: Duration = Duration::from_secs(20);

/// The jobs of the fixture's pool that are named next; other tests use the same Redis.
async fn heard(listener: &mut Listener, test: &Fixture) -> Vec<JobId> {
    loop {
        match timeout(LONG, listener.next()).await.expect("in time").expect("Redis") {
            Heard::Change(change) if change.pool == test.pool => return change.jobs,
            Heard::Change(_) | Heard::Began => {}
        }
    }
}

#[tokio::test]
async fn everyone_who_listens_hears_what_is_announced() {
    let test = Fixture::new().await;
    let mut listeners = [test.queue.listener(test.pool.clone()), test.queue.listener(test.pool.clone())];
    for listener in &mut listeners {
        assert_eq!(listener.next().await.expect("Redis"), Heard::Began);
    }
    let jobs: Vec<JobId> = (0..700).map(|_| JobId::now_v7()).collect();
    test.queue.announce(&test.pool, &jobs).await.expect("Redis");
    for listener in &mut listeners {
        let mut named = heard(listener, &test).await;
        named.extend(heard(listener, &test).await);
        assert_eq!(named, jobs);
    }
}

#[tokio::test]
async fn an_announcer_keeps_nobody_waiting_and_tells_of_all() {
    let test = Fixture::new().await;
    let mut listener = test.queue.listener(test.pool.clone());
    assert_eq!(listener.next().await.expect("Redis"), Heard::Began);
    let announcer = Announcer::start(test.queue.clone());
    let mut jobs: Vec<JobId> = (0..100).map(|_| JobId::now_v7()).collect();
    for job in &jobs {
        announcer.announce(&test.pool, *job);
    }
    let mut named = Vec::new();
    while named.len() < jobs.len() {
        named.extend(heard(&mut listener, &test).await);
    }
    named.sort();
    jobs.sort();
    assert_eq!(named, jobs);
}

#[tokio::test]
async fn a_listener_begins_again_when_redis_is_back() {
    let (redis, _folder) = own_redis().await;
    let test = Fixture::at(&redis.url()).await;
    let mut listener = test.queue.listener(test.pool.clone());
    assert_eq!(listener.next().await.expect("Redis"), Heard::Began);
    redis.kill9().await.expect("killed");
    assert!(timeout(LONG, listener.next()).await.expect("in time").is_err(), "it says that it cannot listen");
    redis.start_again().await.expect("started");
    let deadline = Instant::now() + LONG;
    while listener.next().await.is_err() {
        assert!(Instant::now() < deadline);
    }
    let job = JobId::now_v7();
    test.queue.announce(&test.pool, &[job]).await.expect("Redis");
    assert_eq!(heard(&mut listener, &test).await, [job]);
}

#[tokio::test]
async fn a_listener_that_hears_nothing_for_long_goes_on() {
    let (redis, _folder) = own_redis().await;
    let test = Fixture::at(&redis.url()).await;
    let mut listener = test.queue.listener(test.pool.clone());
    assert_eq!(listener.next().await.expect("Redis"), Heard::Began);
    // Longer than it is silent: it hears its own word, and that is nothing to tell.
    assert!(timeout(Duration::from_secs(8), listener.next()).await.is_err());
    let job = JobId::now_v7();
    test.queue.announce(&test.pool, &[job]).await.expect("Redis");
    assert_eq!(heard(&mut listener, &test).await, [job]);
}

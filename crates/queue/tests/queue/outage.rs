//! Redis away, and what that costs.

use std::time::Duration;

use domain::JobId;
use queue::{Adopt, Adoption, Release, Renewal};
use tokio::time::Instant;

use crate::fixture::{Fixture, LEASE_MS, OUTAGE_MS, connect, own_redis, rank};

#[tokio::test]
async fn an_outage_of_redis_spends_no_lease() {
    let mut test = Fixture::new().await;
    test.enqueue_new(2).await;
    let claims = test.claim(2).await;
    pass_unheard(&mut test, &claims.iter().map(|claim| claim.job).collect::<Vec<_>>(), 600_000).await;
    assert!(test.claim(2).await.is_empty());
    assert_eq!(test.queue.renew(&test.pool, &claims).await.expect("renew"), [Renewal::Renewed; 2]);
}

#[tokio::test]
async fn a_lease_has_after_an_outage_what_it_had_before() {
    let mut test = Fixture::new().await;
    test.enqueue_new(1).await;
    let claim = test.claim_one().await;
    let before = test.number("heard").await;
    test.reschedule("leases", claim.job, before + 7_000).await;
    pass_unheard(&mut test, &[claim.job], 600_000).await;
    test.queue.tick(&test.pool).await.expect("tick");
    let now = test.number("heard").await;
    assert_eq!(test.score("leases", claim.job).await, Some(now + 7_000));
}

#[tokio::test]
async fn silence_shorter_than_an_outage_counts() {
    let mut test = Fixture::new().await;
    test.enqueue_new(1).await;
    let claim = test.claim_one().await;
    let heard = test.number("heard").await;
    test.reschedule("leases", claim.job, heard + 1_000).await;
    pass_unheard(&mut test, &[claim.job], OUTAGE_MS - 5_000).await;
    assert_eq!(test.claim_one().await.job, claim.job);
}

#[tokio::test]
async fn a_clock_that_went_back_delays_nothing() {
    let mut test = Fixture::new().await;
    test.enqueue_new(2).await;
    let claims = test.claim(2).await;
    let (held, delayed) = (claims[0], claims[1]);
    let release = Release { claim: delayed, delay: Duration::from_secs(60), floor: delayed.epoch };
    test.queue.release(&test.pool, &[release]).await.expect("release");
    let heard = test.number("heard").await;
    let hour_ms = 3_600_000;
    test.set("heard", heard + hour_ms).await;
    test.reschedule("leases", held.job, heard + LEASE_MS + hour_ms).await;
    test.reschedule("delayed", delayed.job, heard + 60_000 + hour_ms).await;
    test.queue.tick(&test.pool).await.expect("tick");
    let now = test.number("heard").await;
    assert_eq!(test.score("leases", held.job).await, Some(now + LEASE_MS));
    assert_eq!(test.score("delayed", delayed.job).await, Some(now + 60_000));
}

#[tokio::test]
async fn after_redis_was_emptied_scorers_keep_what_postgres_says_is_theirs() {
    let mut test = Fixture::new().await;
    test.enqueue_new(1).await;
    let claim = test.claim_one().await;
    test.flush().await;
    assert_eq!(test.queue.renew(&test.pool, &[claim]).await.expect("renew"), [Renewal::Missing]);
    let adopt = Adopt { claim, rank: rank(5, 0) };
    assert_eq!(test.queue.adopt(&test.pool, &[adopt]).await.expect("adopt"), [Adoption::Adopted]);
    assert_eq!(test.queue.renew(&test.pool, &[claim]).await.expect("renew"), [Renewal::Renewed]);
    test.expire(claim.job).await;
    assert!(test.claim_one().await.epoch > claim.epoch);
}

#[tokio::test]
async fn redis_away_is_an_error_within_the_timeout_and_recovers() {
    let (redis, _folder) = own_redis().await;
    let test = Fixture::at(&redis.url()).await;
    test.enqueue_new(1).await;

    redis.pause().await.expect("pause");
    let begun = Instant::now();
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let (queue, pool) = (test.queue.clone(), test.pool.clone());
            tokio::spawn(async move { queue.depth(&pool).await.expect_err("a frozen Redis cannot answer") })
        })
        .collect();
    for call in calls {
        let error = call.await.expect("a task");
        assert!(error.is_unavailable(), "{error}");
    }
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    let begun = Instant::now();
    test.queue.depth(&test.pool).await.expect_err("no new connection either");
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());

    redis.resume().expect("resume");
    assert_eq!(test.queue.depth(&test.pool).await.expect("depth").ready, 1);
}

#[tokio::test]
async fn a_restart_between_two_calls_is_not_noticed_as_an_error() {
    let (redis, _folder) = own_redis().await;
    let test = Fixture::at(&redis.url()).await;
    test.enqueue_new(1).await;
    redis.restart().await.expect("restart");
    assert_eq!(test.queue.depth(&test.pool).await.expect("depth").ready, 0);
}

#[tokio::test]
async fn without_redis_a_queue_can_be_made_and_every_call_fails_fast() {
    let port = testkit::free_port().expect("a port");
    let queue = connect(&format!("redis://127.0.0.1:{port}/"));
    let begun = Instant::now();
    let error = queue.claim(&"default".parse().expect("a pool"), 1).await.expect_err("nobody listens");
    assert!(error.is_unavailable(), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

/// Makes it look as if this much time had passed in which nobody reached Redis.
async fn pass_unheard(test: &mut Fixture, leased: &[JobId], ms: i64) {
    let heard = test.number("heard").await;
    test.set("heard", heard - ms).await;
    for job in leased {
        let deadline = test.score("leases", *job).await.expect("a lease");
        test.reschedule("leases", *job, deadline - ms).await;
    }
}

//! Claims, and what a claim that was superseded can no longer do.

use std::collections::HashMap;
use std::time::Duration;

use domain::{Claim, Epoch};
use queue::{Adopt, Adoption, Enqueue, Release, Renewal};
use uuid::Uuid;

use crate::fixture::{Fixture, LEASE_MS, rank, waiting};

#[tokio::test]
async fn expired_lease_goes_to_the_next_claimer_with_a_higher_epoch() {
    let mut test = Fixture::new().await;
    test.enqueue_new(1).await;
    let first = test.claim_one().await;
    assert!(test.claim(1).await.is_empty());
    test.expire(first.job).await;
    let second = test.claim_one().await;
    assert_eq!(second.job, first.job);
    assert!(second.epoch > first.epoch);
}

#[tokio::test]
async fn a_claim_tells_whose_lease_ran_out_and_of_a_lost_lease_nothing() {
    let mut test = Fixture::new().await;
    test.enqueue_new(3).await;
    let first = test.claim(3).await;
    let (expired, released, lost) = (first[0], first[1], first[2]);
    test.expire(expired.job).await;
    let release = Release { claim: released, delay: Duration::ZERO, floor: released.epoch };
    test.queue.release(&test.pool, &[release]).await.expect("release");
    test.queue.cancel(&test.pool, &[lost.job]).await.expect("cancel");
    test.enqueue(&[waiting(lost.job, 5, 3)]).await;
    let claimed = test.queue.claim(&test.pool, 3).await.expect("claim");
    assert_eq!(claimed.claims.len(), 3);
    assert_eq!(claimed.expired, HashMap::from([(expired.job, expired.epoch)]));
}

#[tokio::test]
async fn that_a_lease_ran_out_is_known_until_the_job_is_leased_again_or_leaves() {
    let mut test = Fixture::new().await;
    test.enqueue_new(4).await;
    let first = test.claim(4).await;
    for claim in &first {
        test.expire(claim.job).await;
    }
    test.queue.tick(&test.pool).await.expect("tick");
    let (adopted, cancelled, withdrawn, kept) = (first[0], first[1].job, first[2].job, first[3]);
    let adopt = Adopt { claim: adopted, rank: rank(5, 0) };
    let (queue, pool) = (&test.queue, &test.pool);
    queue.adopt(pool, &[adopt]).await.expect("adopt");
    let release = Release { claim: adopted, delay: Duration::ZERO, floor: adopted.epoch };
    queue.release(pool, &[release]).await.expect("release");
    queue.cancel(pool, &[cancelled]).await.expect("cancel");
    queue.withdraw(pool, &[withdrawn]).await.expect("withdraw");
    let again: Vec<Enqueue> = first.iter().map(|claim| waiting(claim.job, 5, 0)).collect();
    assert_eq!(test.enqueue(&again).await, 2);
    let claimed = queue.claim(pool, 4).await.expect("claim");
    assert_eq!(claimed.claims.len(), 4);
    assert_eq!(claimed.expired, HashMap::from([(kept.job, kept.epoch)]));
    queue.finish(pool, &claimed.claims).await.expect("finish");
    test.enqueue(&again).await;
    assert_eq!(queue.claim(pool, 4).await.expect("claim").expired, HashMap::new());
}

#[tokio::test]
async fn a_superseded_claim_can_neither_renew_nor_release_nor_finish() {
    let mut test = Fixture::new().await;
    test.enqueue_new(1).await;
    let stale = test.claim_one().await;
    test.expire(stale.job).await;
    let claim = test.claim_one().await;
    let release = Release { claim: stale, delay: Duration::ZERO, floor: stale.epoch };
    let adopt = Adopt { claim: stale, rank: rank(5, 0) };
    let (queue, pool) = (&test.queue, &test.pool);
    assert_eq!(queue.renew(pool, &[stale]).await.expect("renew"), [Renewal::Superseded]);
    assert_eq!(queue.adopt(pool, &[adopt]).await.expect("adopt"), [Adoption::Superseded]);
    assert_eq!(queue.release(pool, &[release]).await.expect("release"), 0);
    assert_eq!(queue.finish(pool, &[stale]).await.expect("finish"), 0);
    assert_eq!(queue.renew(pool, &[claim]).await.expect("renew"), [Renewal::Renewed]);
}

#[tokio::test]
async fn renewing_begins_the_lease_anew() {
    let mut test = Fixture::new().await;
    test.enqueue_new(1).await;
    let claim = test.claim_one().await;
    let claimed_at = test.number("heard").await;
    test.reschedule("leases", claim.job, claimed_at + 5).await;
    assert_eq!(test.queue.renew(&test.pool, &[claim]).await.expect("renew"), [Renewal::Renewed]);
    let now = test.number("heard").await;
    assert_eq!(test.score("leases", claim.job).await, Some(now + LEASE_MS));
}

#[tokio::test]
async fn an_expired_claim_that_nobody_took_can_still_be_renewed() {
    let mut test = Fixture::new().await;
    test.enqueue_new(1).await;
    let claim = test.claim_one().await;
    test.expire(claim.job).await;
    assert_eq!(test.queue.renew(&test.pool, &[claim]).await.expect("renew"), [Renewal::Renewed]);
    assert!(test.claim(1).await.is_empty());
}

#[tokio::test]
async fn an_expired_claim_back_among_the_ready_is_missing_and_can_be_adopted() {
    let mut test = Fixture::new().await;
    test.enqueue_new(1).await;
    let claim = test.claim_one().await;
    test.expire(claim.job).await;
    test.queue.tick(&test.pool).await.expect("tick");
    assert_eq!(test.queue.renew(&test.pool, &[claim]).await.expect("renew"), [Renewal::Missing]);
    let adopt = Adopt { claim, rank: rank(5, 0) };
    assert_eq!(test.queue.adopt(&test.pool, &[adopt]).await.expect("adopt"), [Adoption::Adopted]);
    assert!(test.claim(1).await.is_empty());
    assert_eq!(test.queue.finish(&test.pool, &[claim]).await.expect("finish"), 1);
}

#[tokio::test]
async fn a_job_adopted_while_it_is_delayed_waits_no_longer() {
    let mut test = Fixture::new().await;
    let jobs = test.enqueue_new(1).await;
    let claim = test.claim_one().await;
    test.flush().await;
    let later = Enqueue { delay: Duration::from_secs(60), ..waiting(jobs[0], 5, 0) };
    test.enqueue(&[later]).await;
    let adopt = Adopt { claim, rank: later.rank };
    assert_eq!(test.queue.adopt(&test.pool, &[adopt]).await.expect("adopt"), [Adoption::Adopted]);
    assert_eq!(test.score("delayed", claim.job).await, None);
    assert_eq!(test.queue.finish(&test.pool, &[claim]).await.expect("finish"), 1);
}

#[tokio::test]
async fn a_lease_older_than_the_claim_is_a_loss_of_redis_and_not_of_the_scorer() {
    let mut test = Fixture::new().await;
    test.enqueue_new(1).await;
    let old = test.claim_one().await;
    let newer = Claim { epoch: Epoch(old.epoch.0 + 1_000_000), ..old };
    assert_eq!(test.queue.renew(&test.pool, &[newer]).await.expect("renew"), [Renewal::Missing]);
    let adopt = Adopt { claim: newer, rank: rank(5, 0) };
    assert_eq!(test.queue.adopt(&test.pool, &[adopt]).await.expect("adopt"), [Adoption::Adopted]);
    assert_eq!(test.queue.finish(&test.pool, &[old]).await.expect("finish"), 0);
    test.expire(old.job).await;
    assert!(test.claim_one().await.epoch > newer.epoch);
}

#[tokio::test]
async fn a_cancelled_job_is_missing_to_its_scorer() {
    let test = Fixture::new().await;
    let jobs = test.enqueue_new(2).await;
    let claim = test.claim_one().await;
    assert_eq!(test.queue.cancel(&test.pool, &jobs).await.expect("cancel"), 2);
    assert_eq!(test.queue.renew(&test.pool, &[claim]).await.expect("renew"), [Renewal::Missing]);
    assert!(test.claim(2).await.is_empty());
}

#[tokio::test]
async fn enqueueing_a_leased_job_again_leaves_its_lease_alone() {
    let test = Fixture::new().await;
    let jobs = test.enqueue_new(1).await;
    let claim = test.claim_one().await;
    let running = Enqueue { epoch: claim.epoch, leased: true, ..waiting(jobs[0], 5, 0) };
    for item in [waiting(jobs[0], 5, 0), Enqueue { leased: false, ..running }, running] {
        assert_eq!(test.enqueue(&[item]).await, 0);
    }
    assert!(test.claim(1).await.is_empty());
    assert_eq!(test.queue.finish(&test.pool, &[claim]).await.expect("finish"), 1);
}

#[tokio::test]
async fn a_released_claim_with_a_floor_is_followed_by_an_epoch_above_it() {
    let test = Fixture::new().await;
    test.enqueue_new(1).await;
    let claim = test.claim_one().await;
    let floor = Epoch(claim.epoch.0 + 3_600_000_000);
    let release = Release { claim, delay: Duration::ZERO, floor };
    assert_eq!(test.queue.release(&test.pool, &[release]).await.expect("release"), 1);
    assert_eq!(test.claim_one().await.epoch, Epoch(floor.0 + 1));
}

#[tokio::test]
async fn one_list_that_names_a_job_twice_puts_it_in_one_place() {
    let mut test = Fixture::new().await;
    let job = Uuid::now_v7();
    let later = Enqueue { delay: Duration::from_secs(60), ..waiting(job, 5, 0) };
    let held = Enqueue { epoch: Epoch(7), leased: true, ..waiting(job, 5, 0) };
    assert_eq!(test.enqueue(&[waiting(job, 5, 0), later, held]).await, 1);
    let claim = test.claim_one().await;
    let release = Release { claim, delay: Duration::ZERO, floor: claim.epoch };
    let twice = [release, Release { delay: Duration::from_secs(60), ..release }];
    assert_eq!(test.queue.release(&test.pool, &twice).await.expect("release"), 1);
    assert!(test.score("ready", job).await.is_some());
    assert_eq!(test.score("delayed", job).await, None);
}

//! Who is claimed first.

use std::time::Duration;

use domain::{Epoch, Lane, Rank};
use queue::{Depth, Enqueue, Release};
use uuid::Uuid;

use crate::fixture::{Fixture, priority, waiting};

#[tokio::test]
async fn higher_priority_first_then_older() {
    let test = Fixture::new().await;
    let [young, old, urgent] = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
    test.enqueue(&[waiting(young, 5, 2000), waiting(old, 5, 1000), waiting(urgent, 6, 3000)]).await;
    let claimed: Vec<Uuid> = test.claim(5).await.iter().map(|claim| claim.job).collect();
    assert_eq!(claimed, [urgent, old, young]);
}

#[tokio::test]
async fn a_changed_priority_moves_a_waiting_job() {
    let test = Fixture::new().await;
    let [first, second] = [Uuid::now_v7(), Uuid::now_v7()];
    test.enqueue(&[waiting(first, 5, 1000), waiting(second, 5, 2000)]).await;
    assert_eq!(test.enqueue(&[waiting(second, 9, 2000)]).await, 0);
    assert_eq!(test.claim_one().await.job, second);
}

#[tokio::test]
async fn a_changed_priority_reaches_a_delayed_and_a_leased_job_when_they_return() {
    let mut test = Fixture::new().await;
    let [held, delayed, other] = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
    test.enqueue(&[waiting(held, 5, 1000)]).await;
    let claim = test.claim_one().await;
    let later = Enqueue { delay: Duration::from_secs(3600), ..waiting(delayed, 5, 2000) };
    test.enqueue(&[later, waiting(other, 5, 500)]).await;
    test.enqueue(&[waiting(held, 7, 1000), waiting(delayed, 8, 2000)]).await;
    assert_eq!(test.score("ready", delayed).await, None, "a changed priority does not end the delay");
    test.reschedule("delayed", delayed, 1).await;
    test.queue
        .release(&test.pool, &[Release { claim, delay: Duration::ZERO, floor: claim.epoch }])
        .await
        .expect("release");
    let claimed: Vec<Uuid> = test.claim(5).await.iter().map(|claim| claim.job).collect();
    assert_eq!(claimed, [delayed, held, other]);
}

#[tokio::test]
async fn a_delayed_job_is_not_claimed_before_its_time() {
    let mut test = Fixture::new().await;
    let job = Uuid::now_v7();
    test.enqueue(&[Enqueue { delay: Duration::from_secs(60), ..waiting(job, 5, 0) }]).await;
    let claimed = test.queue.claim(&test.pool, 5).await.expect("claim");
    assert!(claimed.claims.is_empty());
    let next_event = claimed.next_event.expect("the delayed job's time");
    assert!((Duration::from_secs(50)..=Duration::from_secs(60)).contains(&next_event), "{next_event:?}");
    test.reschedule("delayed", job, 1).await;
    assert_eq!(test.claim_one().await.job, job);
}

#[tokio::test]
async fn depth_counts_and_knows_the_oldest_of_all_priorities() {
    let test = Fixture::new().await;
    assert_eq!(test.queue.depth(&test.pool).await.expect("depth"), Depth::default());
    test.enqueue_new(1).await;
    test.claim_one().await;
    let later = Enqueue { delay: Duration::from_secs(60), ..waiting(Uuid::now_v7(), 5, 0) };
    test.enqueue(&[
        waiting(Uuid::now_v7(), 9, 3000),
        waiting(Uuid::now_v7(), 0, 1000),
        waiting(Uuid::now_v7(), 4, 2000),
        later,
    ])
    .await;
    assert_eq!(
        test.queue.depth(&test.pool).await.expect("depth"),
        Depth { ready: 3, delayed: 1, leased: 1, oldest_ready_created_at_ms: Some(1000), ..Depth::default() }
    );
}

#[tokio::test]
async fn depth_tells_what_is_due_from_what_waits_and_whether_the_queue_is_whole() {
    let mut test = Fixture::new().await;
    let later = || Enqueue { delay: Duration::from_secs(60), ..waiting(Uuid::now_v7(), 5, 0) };
    let (due, not_due) = (later(), later());
    let job = due.job;
    test.enqueue(&[due, not_due]).await;
    test.reschedule("delayed", job, 1).await;
    let depth = test.queue.depth(&test.pool).await.expect("depth");
    assert_eq!(depth, Depth { delayed: 2, due: 1, ..Depth::default() });
    test.rebuild().await;
    let depth = test.queue.depth(&test.pool).await.expect("depth");
    assert!(depth.current, "{depth:?}");
}

#[tokio::test]
async fn withdrawing_takes_waiting_jobs_and_leaves_leased_ones() {
    let test = Fixture::new().await;
    let jobs = test.enqueue_new(2).await;
    let claim = test.claim_one().await;
    let later = Enqueue { delay: Duration::from_secs(60), ..waiting(Uuid::now_v7(), 5, 0) };
    test.enqueue(&[later]).await;
    let withdrawn = test.queue.withdraw(&test.pool, &[jobs[0], jobs[1], later.job]).await.expect("withdraw");
    assert_eq!(withdrawn, 2);
    assert_eq!(test.queue.finish(&test.pool, &[claim]).await.expect("finish"), 1);
}

#[tokio::test]
async fn lists_longer_than_one_call_are_handled_whole() {
    let test = Fixture::new().await;
    test.enqueue_new(2500).await;
    let mut claims = Vec::new();
    for _ in 0..3 {
        claims.extend(test.claim(5000).await);
    }
    assert_eq!(claims.len(), 2500);
    assert_eq!(test.queue.renew(&test.pool, &claims).await.expect("renew").len(), 2500);
    assert_eq!(test.queue.finish(&test.pool, &claims).await.expect("finish"), 2500);
    assert_eq!(test.queue.depth(&test.pool).await.expect("depth"), Depth::default());
}

#[tokio::test]
async fn the_extremes_of_rank_and_epoch_are_exact() {
    let mut test = Fixture::new().await;
    let job = Uuid::now_v7();
    let last = Lane(Lane::FIRST.0 + Lane::TENANTS - 1);
    let rank = Rank::new(last, priority(0), u64::MAX);
    let floor = Epoch((1 << 53) - 10);
    test.enqueue(&[Enqueue { rank, epoch: floor, ..waiting(job, 0, 0) }]).await;
    let claim = test.claim_one().await;
    assert_eq!(claim.epoch, Epoch(floor.0 + 1));
    let release = Release { claim, delay: Duration::ZERO, floor: claim.epoch };
    assert_eq!(test.queue.release(&test.pool, &[release]).await.expect("release"), 1);
    assert_eq!(test.score("ready", job).await, i64::try_from(rank.0).ok());
}

//! Waiting for work.

use std::time::Duration;

use queue::Release;
use tokio::time::{Instant, timeout};

use crate::fixture::{Fixture, LEASE, connect, own_redis};

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_wake_marker_reaches_a_waiting_claimer() {
    let (redis, _folder) = own_redis().await;
    let mut test = Fixture::at(&redis.url()).await;
    let mut waiter = test.queue.waiter(&test.pool);
    let waiting = tokio::spawn(async move { waiter.wait(LONG).await });
    until_blocked(&mut test, 1).await;
    let begun = Instant::now();
    test.enqueue_new(1).await;
    assert!(waiting.await.expect("a task"));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_marker_left_before_is_found() {
    let test = Fixture::new().await;
    test.enqueue_new(3).await;
    assert!(test.queue.waiter(&test.pool).wait(LONG).await);
}

#[tokio::test]
async fn a_claimer_that_leaves_jobs_behind_wakes_the_next() {
    let (redis, _folder) = own_redis().await;
    let mut test = Fixture::at(&redis.url()).await;
    let claimers = (0..3).map(|_| {
        let (queue, pool) = (test.queue.clone(), test.pool.clone());
        tokio::spawn(async move {
            assert!(queue.waiter(&pool).wait(LONG).await);
            queue.claim(&pool, 1).await.expect("claim").claims.len()
        })
    });
    let claimers: Vec<_> = claimers.collect();
    until_blocked(&mut test, 3).await;
    test.enqueue_new(3).await;
    for claimer in claimers {
        assert_eq!(claimer.await.expect("a task"), 1);
    }
}

#[tokio::test]
async fn released_due_and_expired_jobs_leave_a_marker() {
    let mut test = Fixture::new().await;
    let mut waiter = test.queue.waiter(&test.pool);
    test.enqueue_new(1).await;
    let claim = test.claim_one().await;
    assert!(waiter.wait(LONG).await);

    let release = Release { claim, delay: Duration::ZERO, floor: claim.epoch };
    test.queue.release(&test.pool, &[release]).await.expect("release");
    assert!(waiter.wait(LONG).await);

    let claim = test.claim_one().await;
    let release = Release { claim, delay: LEASE, floor: claim.epoch };
    test.queue.release(&test.pool, &[release]).await.expect("release");
    test.reschedule("delayed", claim.job, 1).await;
    test.queue.tick(&test.pool).await.expect("tick");
    assert!(waiter.wait(LONG).await);

    let claim = test.claim_one().await;
    test.expire(claim.job).await;
    test.queue.tick(&test.pool).await.expect("tick");
    assert!(waiter.wait(LONG).await);
}

#[tokio::test]
async fn there_is_never_more_than_one_marker() {
    let mut test = Fixture::new().await;
    for _ in 0..3 {
        test.enqueue_new(1).await;
        test.queue.tick(&test.pool).await.expect("tick");
    }
    let markers: i64 =
        redis::cmd("LLEN").arg(test.key("wake")).query_async(&mut test.raw).await.expect("LLEN");
    assert_eq!(markers, 1);
}

#[tokio::test]
async fn waiting_without_work_or_without_redis_takes_as_long_as_asked() {
    let test = Fixture::new().await;
    let nobody = connect(&format!("redis://127.0.0.1:{}/", testkit::free_port().expect("a port")));
    for queue in [&test.queue, &nobody] {
        let mut waiter = queue.waiter(&test.pool);
        for _ in 0..2 {
            let begun = Instant::now();
            assert!(!waiter.wait(Duration::from_millis(200)).await);
            assert!(begun.elapsed() >= Duration::from_millis(190), "{:?}", begun.elapsed());
            assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        }
    }
}

#[tokio::test]
async fn a_waiter_that_gave_up_takes_no_marker() {
    let (redis, _folder) = own_redis().await;
    let mut test = Fixture::at(&redis.url()).await;
    let mut waiter = test.queue.waiter(&test.pool);
    timeout(Duration::from_millis(100), waiter.wait(LONG)).await.expect_err("nothing to do yet");
    until_blocked(&mut test, 0).await;
    test.enqueue_new(1).await;
    assert!(waiter.wait(LONG).await);
}

/// Waits until as many clients wait for a marker. Redis counts them only for the whole server.
async fn until_blocked(test: &mut Fixture, clients: usize) {
    let wanted = format!("blocked_clients:{clients}\r\n");
    for _ in 0..5_000 {
        let info: String = redis::cmd("INFO").arg("clients").query_async(&mut test.raw).await.expect("INFO");
        if info.contains(&wanted) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("there were never {clients} clients that waited");
}

//! Who says that it is there.

use queue::ScorerLoad;

use crate::fixture::Fixture;

const BUSY: ScorerLoad = ScorerLoad { slots: 5, held: 3 };
const IDLE: ScorerLoad = ScorerLoad { slots: 2, held: 0 };

async fn found(test: &Fixture) -> Vec<(String, ScorerLoad)> {
    let mut found = test.queue.scorers(&test.pool).await.expect("scorers");
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

#[tokio::test]
async fn scorers_are_there_with_what_they_said_last_until_they_are_dismissed() {
    let test = Fixture::new().await;
    assert_eq!(found(&test).await, []);
    for (name, load) in [("a", BUSY), ("b b", BUSY), ("b b", IDLE)] {
        test.queue.report_scorer(&test.pool, name, load).await.expect("report");
    }
    assert_eq!(found(&test).await, [("a".to_owned(), BUSY), ("b b".to_owned(), IDLE)]);
    test.queue.dismiss_scorer(&test.pool, "a").await.expect("dismiss");
    assert_eq!(found(&test).await, [("b b".to_owned(), IDLE)]);
}

#[tokio::test]
async fn a_scorer_that_is_silent_is_forgotten_by_the_clock_of_redis_and_leaves_nothing_behind() {
    let mut test = Fixture::new().await;
    let (times, loads) = (test.key("scorers"), test.key("scorer_loads"));
    test.queue.report_scorer(&test.pool, "silent", BUSY).await.expect("report");
    // As if its time had come a moment ago.
    let (now, _): (i64, i64) = redis::cmd("TIME").query_async(&mut test.raw).await.expect("the time");
    let _: () = redis::cmd("ZADD")
        .arg(&times)
        .arg(now * 1000 - 1)
        .arg("silent")
        .query_async(&mut test.raw)
        .await
        .expect("time passes");
    assert_eq!(found(&test).await, []);
    test.queue.report_scorer(&test.pool, "other", IDLE).await.expect("report");
    assert_eq!(found(&test).await, [("other".to_owned(), IDLE)]);
    let left: Vec<String> = redis::cmd("HKEYS").arg(&loads).query_async(&mut test.raw).await.expect("keys");
    assert_eq!(left, ["other"]);
    for key in [times, loads] {
        let left: i64 = redis::cmd("PTTL").arg(key).query_async(&mut test.raw).await.expect("a TTL");
        assert!((1..=16_000).contains(&left), "{left} ms");
    }
}

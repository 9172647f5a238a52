//! Rates on a real Redis, compared with the rule.

use std::time::Duration;

use domain::Rate;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use queue::RateLimits;
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::fixture::own_redis;

fn rate(text: &str) -> Rate {
    text.parse().expect("a rate")
}

/// A name that no other test uses.
fn name() -> String {
    format!("test:{}", Uuid::new_v4().simple())
}

#[test]
fn redis_takes_what_the_rule_takes() {
    let runtime = Runtime::new().expect("a runtime");
    let url = runtime.block_on(testkit::redis_url()).expect("a Redis for tests");
    let limits = RateLimits::connect(&url).expect("a URL");
    let rates = (1u32..400, 5u64..2_000).prop_filter_map("a rate", |(quota, window_ms)| {
        Rate::new(quota, Duration::from_millis(window_ms)).ok()
    });
    let wishes = prop::collection::vec((0u32..300, 0u64..8), 1..12);
    let mut runner = TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
    runner
        .run(&(rates, wishes), |(rate, wishes)| {
            let name = name();
            // Redis forgets times that have passed; to the rule they say as much as none.
            let mut tat_us = 0;
            for (wanted, pause_ms) in wishes {
                let answer = runtime.block_on(async {
                    tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                    limits.take(&name, &rate, wanted).await.expect("an answer")
                });
                let expected = rate.take(tat_us, answer.now_us, wanted);
                prop_assert_eq!((answer.granted, answer.tat_us), (expected.granted, expected.tat_us));
                tat_us = answer.tat_us;
            }
            Ok(())
        })
        .expect("the script follows the rule");
}

#[tokio::test]
async fn all_who_share_a_redis_share_a_quota_and_it_is_never_exceeded() {
    let url = testkit::redis_url().await.expect("a Redis for tests");
    let (name, rate) = (name(), rate("100/1h"));
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let (limits, name) = (RateLimits::connect(&url).expect("a URL"), name.clone());
            tokio::spawn(async move { limits.take(&name, &rate, 3).await.expect("an answer").granted })
        })
        .collect();
    let mut granted = 0;
    for call in calls {
        granted += call.await.expect("a task");
    }
    assert_eq!(granted, 100);
}

#[tokio::test]
async fn what_says_nothing_any_more_is_not_kept() {
    let (redis, _folder) = own_redis().await;
    let limits = RateLimits::connect(&redis.url()).expect("a URL");
    for number in 0..20 {
        limits.take(&format!("short:{number}"), &rate("10/50ms"), 5).await.expect("an answer");
    }
    limits.take("long", &rate("10/1h"), 1).await.expect("an answer");
    testkit::until("one entry is left", Duration::from_secs(10), async || {
        let size = redis.command("DBSIZE").await?;
        Ok(testkit::Seen::when(size.trim() == ":1", || size.clone()))
    })
    .await
    .expect("entries go");
}

#[tokio::test]
async fn what_is_refused_leaves_no_trace_and_a_name_may_be_anything() {
    let url = testkit::redis_url().await.expect("a Redis for tests");
    let limits = RateLimits::connect(&url).expect("a URL");
    let (name, rate) = (format!("{} {{}} \r\n \u{1F60E} {{x}}", name()), rate("1/1h"));
    let first = limits.take(&name, &rate, 1).await.expect("an answer");
    let second = limits.take(&name, &rate, 1).await.expect("an answer");
    assert_eq!((first.granted, second.granted), (1, 0));
    assert_eq!(first.tat_us, second.tat_us);
}

#[tokio::test]
async fn in_a_cluster_names_are_dealt_out_to_all_primaries() {
    let cluster = testkit::RedisCluster::start().await.expect("a cluster");
    let limits = RateLimits::connect(&cluster.url()).expect("a URL");
    let rate = rate("10/1h");
    for number in 0..64 {
        let name = format!("test:{number}");
        assert_eq!(limits.take(&name, &rate, 4).await.expect("an answer").granted, 4);
        assert_eq!(limits.take(&name, &rate, 20).await.expect("an answer").granted, 6);
    }
}

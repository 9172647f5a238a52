//! What tenants get of a pool that they share.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::queue_rules::{Moment, QueueState};
use domain::{Claim, Epoch, JobId, Lane, Rank};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use queue::{Enqueue, Release};
use tokio::time::Instant;
use uuid::Uuid;

use crate::fixture::{Fixture, own_redis, priority, waiting};

/// As many jobs of a tenant, the oldest first.
fn heap(tenant: &str, count: u64) -> Vec<Enqueue> {
    (0..count).map(|age| of(tenant, 5, age * 1000)).collect()
}

fn of(tenant: &str, urgency: i64, created_at_ms: u64) -> Enqueue {
    let rank = Rank::new(Lane::of(tenant), priority(urgency), created_at_ms);
    Enqueue { rank, ..waiting(Uuid::now_v7(), urgency, created_at_ms) }
}

/// Whose the jobs are.
#[derive(Default)]
struct Owners(BTreeMap<JobId, &'static str>);

impl Owners {
    fn note(&mut self, tenant: &'static str, jobs: &[Enqueue]) {
        self.0.extend(jobs.iter().map(|item| (item.job, tenant)));
    }

    /// How many of the claims each tenant has.
    fn count(&self, claims: &[Claim]) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for claim in claims {
            *counts.entry(self.0[&claim.job]).or_default() += 1;
        }
        counts
    }
}

async fn finish(test: &Fixture, claims: &[Claim]) {
    assert_eq!(test.queue.finish(&test.pool, claims).await.expect("finish"), claims.len() as u64);
}

#[tokio::test]
async fn behind_a_heap_of_100_000_a_single_job_of_another_tenant_is_handed_out_by_the_second_claim() {
    let (redis, _folder) = own_redis().await;
    let test = Fixture::at(&redis.url()).await;
    test.rebuild().await;
    test.enqueue(&heap("heavy", 100_000)).await;
    for each in [1, 5, 50] {
        let held = test.claim(each).await;
        // Younger, and less urgent, than all that the other has.
        let single = of("light", 0, 1_000_000_000);
        let begun = Instant::now();
        test.enqueue(&[single]).await;
        let mut claims = 0;
        loop {
            let got = test.claim(1).await;
            claims += 1;
            assert!(claims <= 2, "not among the first {claims}");
            finish(&test, &got).await;
            if got[0].job == single.job {
                break;
            }
        }
        println!(
            "after a claim of {each}: handed out by claim {claims}, {:?} after it came",
            begun.elapsed()
        );
        finish(&test, &held).await;
    }
    assert!(test.queue.depth(&test.pool).await.expect("depth").ready > 99_900);
}

#[tokio::test]
async fn tenants_with_equal_heaps_get_the_same_of_every_claim() {
    let test = Fixture::new().await;
    let mut owners = Owners::default();
    for tenant in ["first", "second", "third"] {
        let jobs = heap(tenant, 1000);
        owners.note(tenant, &jobs);
        test.enqueue(&jobs).await;
    }
    let mut claims = Vec::new();
    for max in [1, 2, 5, 7, 50, 3, 200, 1, 64].into_iter().cycle().take(40) {
        claims.extend(test.claim(max).await);
        let counts: Vec<usize> = owners.count(&claims).into_values().collect();
        let (most, least) = (counts.iter().max(), counts.iter().min());
        if claims.len() >= 3 && claims.len() < 2900 {
            assert_eq!(counts.len(), 3);
            assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{counts:?}");
        }
    }
    assert_eq!(claims.len(), 1347);
    println!("{:?}", owners.count(&claims));
}

#[tokio::test]
async fn what_one_tenant_does_not_use_the_others_get() {
    let test = Fixture::new().await;
    let mut owners = Owners::default();
    for (tenant, count) in [("one", 1), ("three", 3), ("hundred", 100), ("more", 100)] {
        let jobs = heap(tenant, count);
        owners.note(tenant, &jobs);
        test.enqueue(&jobs).await;
    }
    let claims = test.claim(50).await;
    let counts = owners.count(&claims);
    assert_eq!(counts, BTreeMap::from([("one", 1), ("three", 3), ("hundred", 23), ("more", 23)]));
}

#[tokio::test]
async fn a_priority_counts_within_its_tenant_alone() {
    let test = Fixture::new().await;
    let (urgent, modest) = ([of("pushy", 9, 1000), of("pushy", 9, 2000)], of("modest", 0, 3000));
    let (most_urgent, ordinary) = (of("mixed", 8, 9000), of("mixed", 5, 1000));
    test.enqueue(&[urgent[0], urgent[1], modest, ordinary, most_urgent]).await;
    let first: Vec<JobId> = test.claim(3).await.iter().map(|claim| claim.job).collect();
    for job in [urgent[0].job, modest.job, most_urgent.job] {
        assert!(first.contains(&job), "one of each tenant");
    }
}

#[tokio::test]
async fn a_tenant_that_asks_again_as_soon_as_it_was_served_gets_its_share_and_no_more() {
    let test = Fixture::new().await;
    test.enqueue(&heap("patient", 100)).await;
    let mut eager = of("eager", 9, 0);
    let mut served = 0;
    for _ in 0..100 {
        test.enqueue(&[eager]).await;
        let claim = test.claim_one().await;
        if claim.job == eager.job {
            served += 1;
            eager = of("eager", 9, 0);
        }
        finish(&test, &[claim]).await;
    }
    assert_eq!(served, 50);
}

#[tokio::test]
async fn a_job_that_comes_back_keeps_its_place_within_its_tenant() {
    let mut test = Fixture::new().await;
    let jobs = heap("ours", 6);
    test.enqueue(&jobs).await;
    test.enqueue(&heap("theirs", 100)).await;
    let of_ours = |claims: &[Claim]| -> Vec<Claim> {
        claims.iter().filter(|claim| jobs.iter().any(|item| item.job == claim.job)).copied().collect()
    };
    let held = of_ours(&test.claim(6).await);
    assert_eq!(held.len(), 3);
    test.expire(held[0].job).await;
    let release = |claim: Claim, delay| Release { claim, delay, floor: claim.epoch };
    let releases = [release(held[1], Duration::ZERO), release(held[2], Duration::from_secs(60))];
    assert_eq!(test.queue.release(&test.pool, &releases).await.expect("release"), 2);
    test.reschedule("delayed", held[2].job, 1).await;
    let again = of_ours(&test.claim(12).await);
    assert_eq!(
        again.iter().map(|claim| claim.job).collect::<Vec<_>>(),
        jobs.iter().map(|item| item.job).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn after_redis_was_emptied_the_order_is_fair_from_the_first_claim_on() {
    let mut test = Fixture::new().await;
    test.rebuild().await;
    let (heavy, light) = (heap("heavy", 3000), heap("light", 1));
    test.enqueue(&heavy).await;
    test.enqueue(&light).await;
    let held = test.claim(4).await;
    assert_eq!(held.len(), 4);
    for _ in 0..2 {
        test.flush().await;
        let rebuild = test.queue.begin_rebuild(&test.pool).await.expect("begin");
        test.enqueue(&heavy).await;
        test.enqueue(&light).await;
        assert!(test.queue.complete_rebuild(&test.pool, &rebuild).await.expect("complete"));
        let first = test.claim(2).await;
        assert!(first.iter().any(|claim| claim.job == light[0].job), "{first:?}");
    }
}

#[tokio::test]
async fn a_claim_looks_once_for_each_job_however_many_tenants_wait() {
    let (redis, _folder) = own_redis().await;
    let mut test = Fixture::at(&redis.url()).await;
    test.rebuild().await;
    for (tenants, more) in [(1, 1), (10, 9), (1000, 990), (20_000, 19_000)] {
        let jobs: Vec<Enqueue> =
            (tenants - more..tenants).map(|number| of(&format!("t{number}"), 5, 0)).collect();
        test.enqueue(&jobs).await;
        for max in [1, 5, 50] {
            let before = looks(&mut test).await;
            let begun = Instant::now();
            let claims = test.claim(max).await;
            let took = begun.elapsed();
            let looked = looks(&mut test).await - before;
            // Four are for what is due and what is next.
            assert!(looked <= max as u64 + 4 + 2, "{looked} looks for {max} jobs of {tenants} tenants");
            println!(
                "{tenants} tenants: {} of {max} jobs claimed with {looked} looks in {took:?}",
                claims.len()
            );
            let back: Vec<Release> = claims
                .iter()
                .map(|claim| Release { claim: *claim, delay: Duration::ZERO, floor: claim.epoch })
                .collect();
            test.queue.release(&test.pool, &back).await.expect("release");
        }
    }
}

/// How many ranges Redis has read.
async fn looks(test: &mut Fixture) -> u64 {
    let info: String = redis::cmd("INFO").arg("commandstats").query_async(&mut test.raw).await.expect("INFO");
    let calls = info.lines().find_map(|line| line.strip_prefix("cmdstat_zrange:calls="));
    calls.and_then(|rest| rest.split(',').next()).map_or(0, |number| number.parse().expect("a number"))
}

#[tokio::test]
async fn the_oldest_job_is_found_among_more_tenants_than_one_call_looks_at() {
    let test = Fixture::new().await;
    let jobs: Vec<Enqueue> = (0..1200_u64)
        .map(|number| of(&format!("t{number}"), number as i64 % 10, 5_000 + 1_000 * ((number * 7) % 1200)))
        .collect();
    test.enqueue(&jobs).await;
    let depth = test.queue.depth(&test.pool).await.expect("depth");
    assert_eq!((depth.ready, depth.oldest_ready_created_at_ms), (1200, Some(5_000)));
}

/// Each of the lists goes onto the queue as (lane, priority), followed by a claim of so many.
#[test]
fn claims_of_any_size_go_round_as_the_rules_say() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let item = (0_u64..6, 4_i64..7);
    let turn = (prop::collection::vec(item, 0..25), 0_usize..20);
    let mut runner = TestRunner::new(Config { cases: 100, failure_persistence: None, ..Config::default() });
    let result = runner.run(&prop::collection::vec(turn, 1..12), |turns| {
        runtime.block_on(async {
            let mut test = Fixture::new().await;
            let mut rules = QueueState::default();
            // Neither delays nor leases end here, so the time makes no difference.
            let at = Moment { now_ms: 1, lease_ms: 30_000, outage_ms: 12_500 };
            for (items, max) in turns {
                let jobs: Vec<Enqueue> = items
                    .into_iter()
                    .map(|(lane, urgency)| Enqueue {
                        // Also of a lane that no tenant has.
                        rank: Rank::new(Lane(Lane::FIRST.0 - 1 + lane * lane), priority(urgency), 0),
                        ..waiting(Uuid::new_v4(), 5, 0)
                    })
                    .collect();
                assert_eq!(test.enqueue(&jobs).await, rules.enqueue(at, &jobs));
                let claimed: Vec<JobId> = test.claim(max).await.iter().map(|claim| claim.job).collect();
                let expected = rules.claim(at, max, Epoch(1)).claims;
                assert_eq!(claimed, expected.iter().map(|claim| claim.job).collect::<Vec<_>>());
            }
            test.flush().await;
        });
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

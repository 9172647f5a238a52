//! Programs of the version before, which know no lanes, beside those of this one on the same keys. `previous/` has their
//! scripts as they were.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::{Claim, Epoch, JobId, Lane, Rank};
use queue::{Enqueue, Release};
use redis::{FromRedisValue, Script};
use uuid::Uuid;

use crate::fixture::{Fixture, LEASE_MS, OUTAGE_MS, priority, rank, waiting};

const ENQUEUE: &str =
    concat!("#!lua\n", include_str!("previous/prelude.lua"), include_str!("previous/enqueue.lua"));
const CLAIM: &str = concat!(
    "#!lua flags=allow-oom\n",
    include_str!("previous/prelude.lua"),
    include_str!("previous/claim.lua")
);

/// In the order in which the scripts of the version before name them.
const KEYS: [&str; 11] = [
    "ready",
    "delayed",
    "leases",
    "ranks",
    "epochs",
    "expired",
    "epoch",
    "heard",
    "wake",
    "generation",
    "rebuilds",
];

impl Fixture {
    async fn run_previous<T: FromRedisValue>(&mut self, code: &str, items: &[String]) -> T {
        let script = Script::new(code);
        let mut invocation = script.prepare_invoke();
        for name in KEYS {
            invocation.key(self.key(name));
        }
        invocation.arg(LEASE_MS).arg(OUTAGE_MS).arg(items);
        invocation.invoke_async(&mut self.raw).await.expect("a script of the version before")
    }

    /// As the version before queued them: ten priorities of 10^13 ms each, higher ones first.
    async fn enqueue_as_before(&mut self, jobs: &[(JobId, u64)]) {
        let items = jobs.iter().flat_map(|(job, urgency)| {
            let rank = (9 - urgency) * 10_000_000_000_000 + 1_764_000_000_000;
            [job.to_string(), rank.to_string(), "0".to_owned(), "0".to_owned(), "0".to_owned()]
        });
        let items: Vec<String> = items.collect();
        let placed: u64 = self.run_previous(ENQUEUE, &items).await;
        assert_eq!(placed, jobs.len() as u64);
    }

    async fn claim_as_before(&mut self, max: u64) -> Vec<Claim> {
        type Answer = (i64, Vec<(String, i64)>, Vec<(String, i64)>);
        let (_, claims, _): Answer = self.run_previous(CLAIM, &[max.to_string()]).await;
        let claims = claims.into_iter();
        claims
            .map(|(job, epoch)| Claim { job: job.parse().expect("a job id"), epoch: Epoch(epoch) })
            .collect()
    }
}

fn heap(tenant: &str, count: u64) -> Vec<Enqueue> {
    let job = |age| Enqueue {
        rank: Rank::new(Lane::of(tenant), priority(5), age * 1000),
        ..waiting(Uuid::now_v7(), 5, 0)
    };
    (0..count).map(job).collect()
}

#[tokio::test]
async fn beside_the_version_before_every_job_is_handed_out_once_whoever_queued_it_and_whoever_asks() {
    let mut test = Fixture::new().await;
    test.rebuild().await;
    let before: Vec<(JobId, u64)> = (0..40).map(|number| (Uuid::now_v7(), number % 10)).collect();
    let (first, second) = (heap("first", 30), heap("second", 30));
    test.enqueue(&first).await;
    test.enqueue_as_before(&before).await;
    test.enqueue(&second).await;
    let mut left: BTreeSet<JobId> = before.iter().map(|(job, _)| *job).collect();
    left.extend(first.iter().chain(&second).map(|item| item.job));

    // What the one claimed and did not keep, the other hands out again, from its old place.
    let (ours, theirs) = (test.claim(3).await, test.claim_as_before(3).await);
    test.expire(theirs[0].job).await;
    test.expire(ours[0].job).await;
    let release = |claim: &Claim| Release { claim: *claim, delay: Duration::ZERO, floor: claim.epoch };
    let releases: Vec<Release> = ours[1..].iter().chain(&theirs[1..]).map(release).collect();
    assert_eq!(test.queue.release(&test.pool, &releases).await.expect("release"), 4);

    let mut epochs = BTreeSet::new();
    while !left.is_empty() {
        let mut claims = test.claim_as_before(2).await;
        claims.extend(test.claim(3).await);
        assert!(!claims.is_empty(), "{left:?} are never handed out");
        for claim in &claims {
            assert!(left.remove(&claim.job), "handed out twice: {claim:?}");
            assert!(epochs.insert(claim.epoch), "an epoch handed out twice: {claim:?}");
        }
        let finished = test.queue.finish(&test.pool, &claims).await.expect("finish");
        assert_eq!(finished, claims.len() as u64);
    }
    assert!(test.claim(1).await.is_empty() && test.claim_as_before(1).await.is_empty());
}

#[tokio::test]
async fn a_heap_that_the_version_before_queued_delays_nobody_and_gets_its_lane_by_the_next_audit() {
    let mut test = Fixture::new().await;
    test.rebuild().await;
    let before: Vec<(JobId, u64)> = (0..1000).map(|_| (Uuid::now_v7(), 9)).collect();
    test.enqueue_as_before(&before).await;
    test.claim(5).await;
    let single = heap("light", 1);
    test.enqueue(&single).await;
    assert!(test.claim(2).await.iter().any(|claim| claim.job == single[0].job));

    let audited = waiting(before[900].0, 9, 1_764_000_000_000);
    assert_eq!(test.enqueue(&[audited]).await, 0);
    let score = test.score("ready", audited.job).await;
    assert_eq!(score, i64::try_from(rank(9, 1_764_000_000_000).0).ok());
}

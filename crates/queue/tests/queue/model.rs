//! Random interleavings of everything that scorers, operators and mishaps do to a queue, compared after each step
//! with `domain::queue_rules`: every answer and every key.

mod mishaps;
mod state;
mod steps;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use domain::queue_rules::{Moment, QueueState, Turn};
use domain::{Claim, Epoch, JobId, Lane, Rank};
use proptest::test_runner::{Config, TestRunner};
use queue::{Adopt, Adoption, Enqueue, Release, Renewal};
use uuid::Uuid;

use self::steps::{JOBS, Step, steps};
use crate::fixture::{Fixture, LEASE, LEASE_MS, OUTAGE_MS, priority};

const DELAY: Duration = Duration::from_secs(60);
/// How far the clock of Redis can be behind a row's epoch, in µs.
const CLOCK_BEHIND_US: i64 = 1_000_000;

#[test]
fn no_interleaving_tells_the_queue_from_its_rules() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    let result = runner.run(&steps(), |steps| {
        runtime.block_on(async {
            let mut run = Run::new().await;
            for step in steps {
                run.take(step).await;
            }
            run.assert_that_nothing_is_lost().await;
            run.test.flush().await;
        });
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

/// What Postgres knows of a job.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    epoch: Epoch,
    epoch_before: Epoch,
    running: bool,
    ended: bool,
}

impl Row {
    /// Whether the attempt under this epoch was the one that ran, and no longer is.
    fn stop(&mut self, epoch: Epoch) -> bool {
        let ran = self.running && self.epoch == epoch;
        self.running &= !ran;
        ran
    }
}

struct Run {
    test: Fixture,
    turn: String,
    state: QueueState,
    snapshot: Option<QueueState>,
    rows: BTreeMap<JobId, Row>,
    history: Vec<Claim>,
    clock_was_behind: bool,
}

impl Run {
    async fn new() -> Run {
        let mut test = Fixture::new().await;
        let turn = test.turn().await;
        Run {
            test,
            turn,
            state: QueueState::default(),
            snapshot: None,
            rows: BTreeMap::new(),
            history: Vec::new(),
            clock_was_behind: false,
        }
    }

    async fn take(&mut self, step: Step) {
        let (queue, pool) = (self.test.queue.clone(), self.test.pool.clone());
        let before = self.now().await;
        match step {
            Step::Enqueue(items) => {
                let items: Vec<Enqueue> = items.into_iter().map(|item| self.item(item)).collect();
                let placed = queue.enqueue(&pool, &items).await.expect("enqueue");
                self.compare(before, placed, |state, at| state.enqueue(at, &items)).await;
            }
            Step::Claim(max) => self.claim(max).await,
            Step::Tick => self.claim(0).await,
            Step::Renew(which) => {
                let claims = self.claims(&which);
                let renewals = queue.renew(&pool, &claims).await.expect("renew");
                for (claim, _) in claims.iter().zip(&renewals).filter(|(_, is)| **is == Renewal::Renewed) {
                    self.assert_newest(*claim);
                }
                self.compare(before, renewals, |state, at| state.renew(at, &claims)).await;
            }
            Step::Release(items) => {
                let items: Vec<Release> = items.into_iter().filter_map(|item| self.release(item)).collect();
                let held = self.held(items.iter().map(|item| item.claim));
                let released = queue.release(&pool, &items).await.expect("release");
                for claim in held {
                    self.assert_newest(claim);
                    self.row(claim.job).stop(claim.epoch);
                }
                self.compare(before, released, |state, at| state.release(at, &items)).await;
            }
            Step::Finish(which) => {
                let claims = self.claims(&which);
                let held = self.held(claims.iter().copied());
                let finished = queue.finish(&pool, &claims).await.expect("finish");
                for claim in held {
                    self.assert_newest(claim);
                    let row = self.row(claim.job);
                    row.ended |= row.stop(claim.epoch);
                }
                self.compare(before, finished, |state, at| state.finish(at, &claims)).await;
            }
            Step::Adopt(which) => {
                let rank = rank(0, 5);
                let mut claims = self.claims(&which);
                claims.retain(|claim| {
                    self.rows.get(&claim.job).is_some_and(|row| row.running && row.epoch == claim.epoch)
                });
                let items: Vec<Adopt> = claims.iter().map(|claim| Adopt { claim: *claim, rank }).collect();
                let adoptions = queue.adopt(&pool, &items).await.expect("adopt");
                assert!(adoptions.iter().all(|is| *is == Adoption::Adopted), "the row confirmed it");
                self.compare(before, adoptions, |state, at| state.adopt(at, &items)).await;
            }
            Step::Cancel(which) => {
                let jobs: Vec<JobId> = which.into_iter().map(job).collect();
                jobs.iter().for_each(|job| self.end(*job));
                let removed = queue.cancel(&pool, &jobs).await.expect("cancel");
                self.compare(before, removed, |state, _| state.cancel(&jobs)).await;
            }
            Step::Withdraw(which) => {
                let jobs: Vec<JobId> = which.into_iter().map(job).collect();
                let removed = queue.withdraw(&pool, &jobs).await.expect("withdraw");
                self.compare(before, removed, |state, _| state.withdraw(&jobs)).await;
            }
            Step::RunOut(which) => self.run_out(job(which)).await,
            Step::Outage(ms) => self.pretend_that_time_differs(-ms, false).await,
            Step::ClockBack(ms) => self.pretend_that_time_differs(ms, true).await,
            Step::Failover => self.fail_over().await,
            Step::Snapshot => self.snapshot = Some(self.state.clone()),
            Step::Restart => self.restart_from_snapshot().await,
            Step::Flush => self.flush().await,
            Step::Rebuild { interrupted } => self.rebuild(interrupted).await,
        }
        let current = queue.is_current(&pool).await.expect("is_current");
        assert_eq!(current, self.state.is_current());
    }

    async fn claim(&mut self, max: usize) {
        let before = self.now().await;
        let claimed = self.test.queue.claim(&self.test.pool, max).await.expect("claim");
        let claims = claimed.claims.clone();
        let after = self.now().await;
        let first_epoch = claims.first().map_or(Epoch::NONE, |claim| claim.epoch);
        if !claims.is_empty() {
            let state = &self.state;
            let possible = state.first_epoch(before * 1000)..=state.first_epoch(after * 1000 + 999);
            assert!(possible.contains(&first_epoch), "{first_epoch} is not in {possible:?}");
        }
        self.compare(before, claimed, |state, at| state.claim(at, max, first_epoch)).await;
        for claim in claims {
            let row = self.row(claim.job);
            assert!(claim.epoch > row.epoch, "{claim:?} is not newer than its row: {row:?}");
            *row = Row { epoch: claim.epoch, epoch_before: row.epoch, running: !row.ended, ..*row };
            self.history.push(claim);
        }
    }

    /// The job as its row describes it, or described it before the last claim.
    fn item(&mut self, (which, urgency, delayed, read_before): (usize, i64, bool, bool)) -> Enqueue {
        let clock_was_behind = self.clock_was_behind;
        let row = *self.row(job(which));
        let read_before = read_before && !clock_was_behind;
        Enqueue {
            job: job(which),
            rank: rank(which, urgency),
            delay: if delayed { DELAY } else { Duration::ZERO },
            epoch: if read_before { row.epoch_before } else { row.epoch },
            leased: row.running && !read_before,
        }
    }

    fn release(&mut self, (which, delayed, clock_behind): (usize, bool, bool)) -> Option<Release> {
        let claim = *self.claims(&[which]).first()?;
        self.clock_was_behind |= clock_behind;
        let behind_us = if clock_behind { CLOCK_BEHIND_US } else { 0 };
        Some(Release {
            claim,
            delay: if delayed { DELAY } else { Duration::ZERO },
            floor: Epoch(self.row(claim.job).epoch.0 + behind_us),
        })
    }

    async fn rebuild(&mut self, interrupted: bool) {
        let (queue, pool) = (self.test.queue.clone(), self.test.pool.clone());
        let rebuild = queue.begin_rebuild(&pool).await.expect("begin");
        let begun = state::read(&mut self.test, &self.turn).await;
        let token = *begun.rebuilds.keys().next().expect("the token of the rebuild");
        self.state.begin_rebuild(token);
        assert_eq!(self.state, begun, "the rules (left) and the queue (right) differ");
        let active: Vec<usize> =
            (0..JOBS).filter(|which| self.rows.get(&job(*which)).is_some_and(|row| !row.ended)).collect();
        let items: Vec<Enqueue> =
            active.into_iter().map(|which| self.item((which, 5, false, false))).collect();
        let before = self.now().await;
        let placed = queue.enqueue(&pool, &items).await.expect("enqueue");
        self.compare(before, placed, |state, at| state.enqueue(at, &items)).await;
        if interrupted {
            self.flush().await;
        }
        let whole = queue.complete_rebuild(&pool, &rebuild).await.expect("complete");
        assert_eq!(whole, !interrupted);
        self.compare(before, whole, |state, _| state.complete_rebuild(token)).await;
    }

    /// Every active job is handed out once, after whatever happened, when the queue is rebuilt and all leases end.
    async fn assert_that_nothing_is_lost(&mut self) {
        self.rebuild(false).await;
        let waiting: Vec<JobId> =
            self.rows.iter().filter(|(_, row)| !row.ended).map(|(job, _)| *job).collect();
        for which in 0..JOBS {
            self.run_out(job(which)).await;
        }
        self.claim(10).await;
        let state = &self.state;
        assert!(
            waiting.iter().all(|job| state.leased_epoch(*job).is_some()),
            "{waiting:?} are not all leased in {state:?}"
        );
    }

    /// The answer and the keys are what the rules say for some time within which the call was made.
    async fn compare<A: Debug + PartialEq>(
        &mut self,
        before: i64,
        answer: A,
        apply: impl Fn(&mut QueueState, Moment) -> A,
    ) {
        let after = self.now().await;
        let seen = state::read(&mut self.test, &self.turn).await;
        let predict = |now_ms| {
            let mut state = self.state.clone();
            let answer = apply(&mut state, Moment { now_ms, lease_ms: LEASE_MS, outage_ms: OUTAGE_MS });
            (answer, state)
        };
        let actual = (answer, seen);
        if !(before..=after).any(|now_ms| predict(now_ms) == actual) {
            assert_eq!(predict(after), actual, "the rules (left) and the queue (right) differ");
        }
        self.state = actual.1;
    }

    /// Whoever renewed, released or finished was the job's last claimer: nobody superseded it. An old snapshot may
    /// know no better until the rebuild; there only Postgres can refuse.
    fn assert_newest(&mut self, claim: Claim) {
        let newest = self.row(claim.job).epoch;
        assert!(newest == claim.epoch || self.is_stale(), "{claim:?} still counted, although superseded");
    }

    fn is_stale(&self) -> bool {
        self.state.generation == Some(Turn::Earlier)
    }

    /// Those of the claims under which jobs are leased now, each once.
    fn held(&self, claims: impl Iterator<Item = Claim>) -> Vec<Claim> {
        let held = claims.filter(|claim| self.state.leased_epoch(claim.job) == Some(claim.epoch));
        held.collect()
    }

    fn claims(&self, which: &[usize]) -> Vec<Claim> {
        let all = self.history.len();
        which.iter().filter(|_| all > 0).map(|ago| self.history[all - 1 - ago % all]).collect()
    }

    fn row(&mut self, job: JobId) -> &mut Row {
        self.rows.entry(job).or_default()
    }

    fn end(&mut self, job: JobId) {
        let row = self.row(job);
        row.running = false;
        row.ended = true;
    }

    async fn now(&mut self) -> i64 {
        let (seconds, microseconds): (i64, i64) =
            redis::cmd("TIME").query_async(&mut self.test.raw).await.expect("TIME");
        seconds * 1000 + microseconds / 1000
    }
}

fn job(which: usize) -> JobId {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + which as u128)
}

/// Every other job is of the same tenant.
fn rank(which: usize, urgency: i64) -> Rank {
    Rank::new(Lane(Lane::FIRST.0 + which as u64 % 2), priority(urgency), which as u64 * 1000)
}

/// The times given to the rules are those of the fixture's lease.
#[test]
fn the_rules_are_given_the_lease_of_the_queue() {
    assert_eq!(LEASE.as_millis() as i64, LEASE_MS);
}

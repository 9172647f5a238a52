//! A scorer's attempt, step by step, as `scorer/src/attempt.rs` makes it.

use std::time::Duration;

use domain::queue_rules::Release;
use domain::transition::{Finish, Start, Verdict};
use domain::{Claim, Epoch, JobStatus};

use crate::renewal::Renewing;
use crate::rules::Rules;
use crate::state::{NOW, State};

/// One slot of a scorer, and the loops that keep its lease.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scorer {
    /// What it works on.
    pub work: Work,
    /// What its renewal is in the middle of.
    pub renewing: Renewing,
}

/// What a slot is busy with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Work {
    /// Nothing.
    #[default]
    Idle,
    /// A claim that it renews.
    Holding(Holding),
    /// What came of the attempt is settled; the lease is to end, and is renewed no longer.
    Ending(LeaseEnd),
}

/// A claim that is worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Holding {
    /// The claim.
    pub claim: Claim,
    /// Known to be another's by now, or its job to have ended.
    pub lost: bool,
    /// How far it is.
    pub phase: Phase,
}

/// How far an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Postgres is to start it.
    Starting {
        /// The epoch of the job's last lease when that is known to have run out.
        expired: Epoch,
    },
    /// It is scored.
    Scoring,
    /// Postgres is to record how it ended.
    Finishing(Verdict),
    /// Postgres changed nothing; whether an earlier call did is to be found out.
    FindingOut(Verdict),
}

/// What becomes of a lease whose work is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeaseEnd {
    /// It is dropped.
    Drop(Claim),
    /// The job returns to the queue.
    Release(Release),
}

/// What a scorer does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Claims a job.
    Claim,
    /// Asks Postgres to start the attempt, until there is an answer.
    Start,
    /// Has scored, or failed.
    Score(Verdict),
    /// Stops the work on a claim that was lost, or no longer asks Postgres about it.
    Stop,
    /// Asks Postgres to record the end, until there is an answer.
    Finish,
    /// Looks for the record that an earlier call may have made.
    FindOut,
    /// Ends the lease.
    End,
}

const A_WHILE: Duration = Duration::from_secs(1);

impl Scorer {
    /// The claim that it renews.
    pub fn held(&self) -> Option<Claim> {
        self.holding().map(|holding| holding.claim)
    }

    /// What it works on.
    pub fn holding(&self) -> Option<Holding> {
        match self.work {
            Work::Holding(holding) => Some(holding),
            _ => None,
        }
    }

    /// Whether Postgres has answered that the attempt is started, so that it can be asked whose the job is.
    pub fn has_started(&self) -> bool {
        self.holding().is_some_and(|holding| !matches!(holding.phase, Phase::Starting { .. }))
    }

    /// The claim is another's by now, or its job has ended.
    pub(crate) fn lose(&mut self, claim: Claim) {
        if let Work::Holding(holding) = &mut self.work {
            holding.lost |= holding.claim == claim;
        }
    }

    /// What it may do next, renewals aside.
    pub fn steps(&self) -> &'static [Step] {
        let Work::Holding(holding) = &self.work else {
            return if self.work == Work::Idle { &[Step::Claim] } else { &[Step::End] };
        };
        match (holding.phase, holding.lost) {
            (Phase::Starting { .. }, false) => &[Step::Start],
            (Phase::Starting { .. }, true) => &[Step::Start, Step::Stop],
            (Phase::Scoring, false) => &[
                Step::Score(Verdict::Done),
                Step::Score(Verdict::Retryable),
                Step::Score(Verdict::Permanent),
            ],
            (Phase::Scoring, true) => &[Step::Stop],
            (Phase::Finishing(_), false) => &[Step::Finish],
            (Phase::Finishing(_), true) => &[Step::Finish, Step::Stop],
            (Phase::FindingOut(_), false) => &[Step::FindOut],
            (Phase::FindingOut(_), true) => &[Step::FindOut, Step::Stop],
        }
    }
}

impl LeaseEnd {
    fn release(claim: Claim, delay: Duration, floor: Epoch) -> Work {
        Work::Ending(LeaseEnd::Release(Release { claim, delay, floor }))
    }

    fn drop(claim: Claim) -> Work {
        Work::Ending(LeaseEnd::Drop(claim))
    }
}

impl State {
    /// The scorer takes the step, and hears of what came of it.
    pub(crate) fn scorer_does(&mut self, rules: &Rules, which: usize, step: Step) {
        self.scorers[which].work = match (self.scorers[which].work.clone(), step) {
            (Work::Idle, Step::Claim) => self.claimed(rules, None),
            (Work::Holding(holding), step) => self.next_work(rules, holding, step),
            (Work::Ending(end), Step::End) => {
                match end {
                    LeaseEnd::Drop(claim) => (rules.drop_lease)(&mut self.queue, NOW, &[claim]),
                    LeaseEnd::Release(release) => self.queue.release(NOW, &[release]),
                };
                Work::Idle
            }
            (work, _) => work,
        };
    }

    /// What a scorer works on that claims a job now.
    pub(crate) fn claimed(&mut self, rules: &Rules, clock_behind: Option<Epoch>) -> Work {
        let claimed = self.claim(rules, 1, clock_behind);
        let Some(claim) = claimed.claims.first().copied() else { return Work::Idle };
        let expired = claimed.expired.get(&claim.job).copied().unwrap_or(Epoch::NONE);
        Work::Holding(Holding { claim, lost: false, phase: Phase::Starting { expired } })
    }

    fn next_work(&mut self, rules: &Rules, holding: Holding, step: Step) -> Work {
        let claim = holding.claim;
        let at = |phase| Work::Holding(Holding { phase, ..holding });
        match (holding.phase, step) {
            (_, Step::Stop) => LeaseEnd::drop(claim),
            (Phase::Starting { expired }, Step::Start) => match self.start(rules, claim, expired) {
                // Taken over before any work was done: it is handed back instead.
                Start::Started { .. } | Start::AlreadyStarted if holding.lost => {
                    at(Phase::Finishing(Verdict::Released))
                }
                Start::Started { .. } | Start::AlreadyStarted => at(Phase::Scoring),
                Start::Exhausted { .. } | Start::Ended => LeaseEnd::drop(claim),
                Start::Suspended => LeaseEnd::release(claim, A_WHILE, claim.epoch),
                Start::Stale { newest } => LeaseEnd::release(claim, Duration::ZERO, newest),
            },
            (Phase::Scoring, Step::Score(verdict)) => at(Phase::Finishing(verdict)),
            (Phase::Finishing(verdict), Step::Finish) => match self.finish(rules, claim, verdict) {
                Finish::Recorded { next } => ended(claim, verdict, next.status),
                Finish::Refused => at(Phase::FindingOut(verdict)),
            },
            (Phase::FindingOut(verdict), Step::FindOut) => match self.find_recorded(claim, verdict) {
                Some(status) => ended(claim, verdict, status),
                None => LeaseEnd::drop(claim),
            },
            (phase, _) => at(phase),
        }
    }

    /// What a scorer works on that is asked to stop: what is scored is handed back on the record, and what Postgres does
    /// not answer about is at least handed back to the queue.
    pub(crate) fn stopping(holding: Holding) -> Work {
        match holding.phase {
            Phase::Scoring => {
                Work::Holding(Holding { phase: Phase::Finishing(Verdict::Released), ..holding })
            }
            _ => LeaseEnd::release(holding.claim, Duration::ZERO, holding.claim.epoch),
        }
    }
}

/// The verdict stands; a job that is to be tried again returns to the queue.
fn ended(claim: Claim, verdict: Verdict, status: JobStatus) -> Work {
    match (status, verdict) {
        (JobStatus::Queued, Verdict::Released) => LeaseEnd::release(claim, Duration::ZERO, claim.epoch),
        (JobStatus::Queued, _) => LeaseEnd::release(claim, A_WHILE, claim.epoch),
        _ => LeaseEnd::drop(claim),
    }
}

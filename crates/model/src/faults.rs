//! What goes wrong, or is wanted by a person.

use domain::queue_rules::Place;
use domain::{Claim, Epoch, JobId};

use crate::bounds::FaultKind;
use crate::operator::Operator;
use crate::rules::Rules;
use crate::scorer::{Holding, Phase, Scorer, Work};
use crate::state::{State, jobs};

/// One thing that goes wrong. Scorers and operators are named by their place in the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The lease of a scorer that lives runs out.
    LeaseRunsOut(JobId),
    /// The scorer's process dies, and another begins in its place.
    ScorerDies(usize),
    /// The scorer is asked to stop.
    ScorerStops(usize),
    /// The start is committed, and its answer lost.
    StartAnswerLost(usize),
    /// The end of the attempt is committed, and the answer lost.
    FinishAnswerLost(usize),
    /// A job is handed out to nobody.
    ClaimAnswerLost,
    /// The end of the lease never arrives.
    LeaseEndLost(usize),
    /// Redis loses everything.
    RedisEmptied,
    /// From now on a replica gets nothing of what is written. It will take over.
    ReplicaLags,
    /// The scorer claims while the clock of Redis is behind, at what would be this epoch.
    ClaimWithClockBehind(usize, Epoch),
    /// The operator's process dies in the middle, and another begins in its place.
    OperatorDies(usize),
    /// A person cancels the job.
    Cancelled(JobId),
    /// A person holds the job back.
    Suspended(JobId),
}

impl Fault {
    /// What it is one of.
    pub fn kind(self) -> FaultKind {
        match self {
            Fault::LeaseRunsOut(_) => FaultKind::LeaseRunsOut,
            Fault::ScorerDies(_) => FaultKind::ScorerDies,
            Fault::ScorerStops(_) => FaultKind::ScorerStops,
            Fault::StartAnswerLost(_) | Fault::FinishAnswerLost(_) => FaultKind::CommitAnswerLost,
            Fault::ClaimAnswerLost | Fault::LeaseEndLost(_) => FaultKind::QueueAnswerLost,
            Fault::RedisEmptied => FaultKind::RedisEmptied,
            Fault::ReplicaLags => FaultKind::RedisFailsOver,
            Fault::ClaimWithClockBehind(..) => FaultKind::ClockBehind,
            Fault::OperatorDies(_) => FaultKind::OperatorDies,
            Fault::Cancelled(_) => FaultKind::Cancelled,
            Fault::Suspended(_) => FaultKind::Suspended,
        }
    }
}

impl State {
    /// Whatever of these kinds can go wrong now.
    pub(crate) fn faults(&self, kinds: &[FaultKind]) -> Vec<Fault> {
        let mut faults = vec![Fault::RedisEmptied, Fault::ClaimAnswerLost];
        faults.extend(self.replica.is_none().then_some(Fault::ReplicaLags));
        for (job, place) in self.with_time_left() {
            if let Place::Leased { epoch, .. } = place
                && self.is_held(Claim { job, epoch })
            {
                faults.push(Fault::LeaseRunsOut(job));
            }
        }
        for (which, scorer) in self.scorers.iter().enumerate() {
            of_scorer(which, scorer, &mut faults);
        }
        for (which, operator) in self.operators.iter().enumerate() {
            faults.extend((*operator != Operator::default()).then_some(Fault::OperatorDies(which)));
        }
        for (job, row) in jobs(self.rows.len()).zip(&self.rows) {
            if row.job.status.is_active() {
                faults.push(Fault::Cancelled(job));
                faults.extend((!row.job.suspended).then_some(Fault::Suspended(job)));
            }
        }
        faults.retain(|fault| kinds.contains(&fault.kind()));
        if kinds.contains(&FaultKind::ClockBehind) {
            self.claims_with_clock_behind(&mut faults);
        }
        faults
    }

    /// At any time between two claims that there were.
    fn claims_with_clock_behind(&self, faults: &mut Vec<Fault>) {
        if let Some(which) = self.scorers.iter().position(|scorer| scorer.work == Work::Idle) {
            let gaps = (1..self.clone().newest_epoch().0).step_by(2).map(Epoch);
            faults.extend(gaps.map(|epoch| Fault::ClaimWithClockBehind(which, epoch)));
        }
    }

    /// It goes wrong. Where that makes no difference, it did not.
    pub(crate) fn suffer(&mut self, rules: &Rules, fault: Fault) {
        let before = self.clone();
        match fault {
            Fault::LeaseRunsOut(job) => self.run_out(job),
            Fault::ScorerDies(which) => self.scorers[which] = Scorer::default(),
            Fault::ScorerStops(which) => {
                if let Work::Holding(holding) = self.scorers[which].work {
                    self.scorers[which].work = State::stopping(holding);
                }
            }
            Fault::StartAnswerLost(which) | Fault::FinishAnswerLost(which) => {
                self.commit_unheard(rules, which)
            }
            Fault::ClaimAnswerLost => drop(self.claimed(rules, None)),
            Fault::LeaseEndLost(which) => self.scorers[which].work = Work::Idle,
            Fault::RedisEmptied => self.empty_redis(),
            Fault::ReplicaLags => self.let_replica_lag(),
            Fault::ClaimWithClockBehind(which, epoch) => {
                self.scorers[which].work = self.claimed(rules, Some(epoch));
            }
            Fault::OperatorDies(which) => self.operators[which] = Operator::default(),
            Fault::Cancelled(job) => self.cancel(job),
            Fault::Suspended(job) => self.suspend(job),
        }
        if *self != before {
            self.faults_left -= 1;
        }
    }

    /// The scorer asks Postgres, and goes on asking, since it hears nothing.
    fn commit_unheard(&mut self, rules: &Rules, which: usize) {
        let Some(Holding { claim, phase, .. }) = self.scorers[which].holding() else { return };
        match phase {
            Phase::Starting { expired } => {
                self.start(rules, claim, expired);
            }
            Phase::Finishing(verdict) => {
                self.finish(rules, claim, verdict);
            }
            Phase::Scoring | Phase::FindingOut(_) => {}
        }
    }
}

fn of_scorer(which: usize, scorer: &Scorer, faults: &mut Vec<Fault>) {
    match scorer.work {
        Work::Idle => {}
        Work::Holding(Holding { phase, .. }) => {
            faults.extend([Fault::ScorerDies(which), Fault::ScorerStops(which)]);
            match phase {
                Phase::Starting { .. } => faults.push(Fault::StartAnswerLost(which)),
                Phase::Finishing(_) => faults.push(Fault::FinishAnswerLost(which)),
                Phase::Scoring | Phase::FindingOut(_) => {}
            }
        }
        // That of one that dies never arrives either.
        Work::Ending(_) => faults.push(Fault::LeaseEndLost(which)),
    }
}

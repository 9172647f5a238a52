//! The bounds within which everything is tried.

use crate::bounds::{Bounds, FaultKind};
use crate::life::Life;
use crate::rules::Rules;

/// Bounds, and what they are good for.
#[derive(Clone, Copy, Debug)]
pub struct World {
    /// What is looked at.
    pub name: &'static str,
    /// How much there is of everything.
    pub bounds: Bounds,
}

impl World {
    /// The life of jobs within these bounds, by the domain's rules.
    pub fn life(&self) -> Life {
        Life { bounds: self.bounds, rules: Rules::default() }
    }
}

/// Every fault of scorers and of the ways to them.
const OF_SCORERS: &[FaultKind] = &[
    FaultKind::LeaseRunsOut,
    FaultKind::ScorerDies,
    FaultKind::ScorerStops,
    FaultKind::CommitAnswerLost,
    FaultKind::QueueAnswerLost,
];

/// What loses or confuses the queue.
const OF_REDIS: &[FaultKind] = &[
    FaultKind::LeaseRunsOut,
    FaultKind::QueueAnswerLost,
    FaultKind::RedisEmptied,
    FaultKind::RedisFailsOver,
    FaultKind::ClockBehind,
    FaultKind::OperatorDies,
];

const ONE_JOB: Bounds = Bounds {
    jobs: 1,
    scorers: 2,
    operators: 1,
    max_attempts: 2,
    faults: 2,
    kinds: &FaultKind::ALL,
    audits: true,
};

/// All that are checked.
pub const WORLDS: [World; 4] = [
    World { name: "any two faults", bounds: ONE_JOB },
    World {
        name: "scorers in trouble",
        bounds: Bounds { faults: 3, kinds: OF_SCORERS, audits: false, ..ONE_JOB },
    },
    World {
        name: "Redis in trouble",
        bounds: Bounds { faults: 3, kinds: OF_REDIS, audits: false, ..ONE_JOB },
    },
    World { name: "two jobs", bounds: Bounds { jobs: 2, faults: 1, audits: false, ..ONE_JOB } },
];

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

/// One job of two attempts, two scorers, and any two faults: the world that the others vary.
pub const ONE_JOB: Bounds = Bounds {
    jobs: 1,
    scorers: 2,
    operators: 1,
    max_attempts: 2,
    faults: 2,
    kinds: &FaultKind::ALL,
    audits: false,
};

/// All that are checked.
pub const WORLDS: [World; 6] = [
    World { name: "any two faults", bounds: ONE_JOB },
    World { name: "any fault beside an audit", bounds: Bounds { faults: 1, audits: true, ..ONE_JOB } },
    World { name: "four faults of scorers", bounds: Bounds { faults: 4, kinds: OF_SCORERS, ..ONE_JOB } },
    World { name: "three scorers", bounds: Bounds { scorers: 3, kinds: OF_SCORERS, ..ONE_JOB } },
    World { name: "two jobs", bounds: Bounds { jobs: 2, faults: 1, kinds: OF_SCORERS, ..ONE_JOB } },
    World {
        name: "two jobs, Redis emptied",
        bounds: Bounds { jobs: 2, max_attempts: 1, faults: 1, kinds: &[FaultKind::RedisEmptied], ..ONE_JOB },
    },
];

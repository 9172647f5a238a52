//! How much there is of everything, so that the states can be counted.

use std::fmt;

/// What can go wrong, or be wanted by a person, at any moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A lease runs out although its scorer lives: it was paused or cut off for so long.
    LeaseRunsOut,
    /// A scorer's process dies.
    ScorerDies,
    /// A scorer is asked to stop and hands back what it holds.
    ScorerStops,
    /// A statement of a scorer is committed and the answer lost.
    CommitAnswerLost,
    /// Redis has done what a scorer asked for, or has not, and the scorer learns nothing.
    QueueAnswerLost,
    /// Redis loses everything.
    RedisEmptied,
    /// Redis fails over to a replica that lacks the last writes.
    RedisFailsOver,
    /// The clock of Redis is behind while it hands out an epoch.
    ClockBehind,
    /// An operator's process dies, or its call fails, in the middle of what it does.
    OperatorDies,
    /// A person cancels the job.
    Cancelled,
    /// A person holds the job back. It may be resumed at any time.
    Suspended,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [FaultKind; 11] = [
        FaultKind::LeaseRunsOut,
        FaultKind::ScorerDies,
        FaultKind::ScorerStops,
        FaultKind::CommitAnswerLost,
        FaultKind::QueueAnswerLost,
        FaultKind::RedisEmptied,
        FaultKind::RedisFailsOver,
        FaultKind::ClockBehind,
        FaultKind::OperatorDies,
        FaultKind::Cancelled,
        FaultKind::Suspended,
    ];
}

/// The size of a world.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Jobs, all accepted and none on the queue at first.
    pub jobs: usize,
    /// Slots of scorers. Two slots of one process differ in nothing from two processes, so each is a scorer here.
    pub scorers: usize,
    /// Operators.
    pub operators: usize,
    /// How many attempts each job may spend.
    pub max_attempts: u32,
    /// How many faults happen, of whatever kinds and at whatever moments.
    pub faults: u8,
    /// The kinds of faults that there are.
    pub kinds: &'static [FaultKind],
    /// Whether the operators look for missing and for ended jobs while faults still happen. Afterwards they do.
    pub audits: bool,
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bounds { jobs, scorers, operators, max_attempts, faults, kinds, audits } = self;
        write!(f, "{jobs} jobs of {max_attempts} attempts, {scorers} scorers, {operators} operators ")?;
        f.write_str(if *audits { "that audit" } else { "that audit in the end" })?;
        write!(f, ", {faults} faults of {} kinds", kinds.len())
    }
}

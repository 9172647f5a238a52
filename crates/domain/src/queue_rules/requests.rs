//! What is asked of a queue, and what it answers.

use std::collections::HashMap;
use std::time::Duration;

use crate::{Claim, Epoch, JobId, Rank};

/// A job as its row in Postgres describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Enqueue {
    /// The job.
    pub job: JobId,
    /// Its place among the ready ones.
    pub rank: Rank,
    /// How long it is not to be claimed yet.
    pub delay: Duration,
    /// The newest epoch that ever started it. No later claim gets this epoch or an older one.
    pub epoch: Epoch,
    /// Whether a scorer holds it under that epoch (the row is RUNNING).
    pub leased: bool,
}

/// What a claim brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    /// The jobs, in the order of their turns.
    pub claims: Vec<Claim>,
    /// Of those of the jobs whose last lease is known to have run out: its epoch. Whoever held it went unheard. Of the
    /// others nothing is known: they were never leased, or given back, or Redis has lost their lease.
    pub expired: HashMap<JobId, Epoch>,
    /// When next a delayed job is due or a lease ends, if there is any: a claimer that waits should look again then.
    pub next_event: Option<Duration>,
}

/// What became of a claim that was to be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Renewal {
    /// The lease begins anew.
    Renewed,
    /// Somebody else has claimed the job since: stop working on it.
    Superseded,
    /// There is no lease, or only one older than this claim: it ran out and nobody took the job yet, the job was
    /// cancelled, or Redis lost it. Postgres knows: when the row is still RUNNING under this epoch, adopting the claim
    /// restores the lease.
    Missing,
}

/// A claim that its scorer holds by what Postgres says, and Redis has lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Adopt {
    /// The claim.
    pub claim: Claim,
    /// The job's place among the ready ones, should it return there.
    pub rank: Rank,
}

/// What became of a claim that was to be adopted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Adoption {
    /// The job is leased under this claim again.
    Adopted,
    /// Somebody else has claimed the job since: stop working on it.
    Superseded,
}

/// A claim that is given up before the job has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Release {
    /// The claim.
    pub claim: Claim,
    /// How long the job is not to be claimed again.
    pub delay: Duration,
    /// The epoch of the job's row: no later claim gets this epoch or an older one. It is above the claim's own when
    /// the clock of Redis went back, and otherwise changes nothing.
    pub floor: Epoch,
}

/// Rounded up: what is delayed is never early.
pub(super) fn milliseconds(delay: Duration) -> i64 {
    delay.as_nanos().div_ceil(1_000_000).try_into().unwrap_or(i64::MAX)
}

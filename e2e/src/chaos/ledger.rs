//! What clients were told and which faults there were: what the checker holds against the servers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use super::plan::{Fault, LEASE, Line, Trouble};
use crate::rows::Attempt;

/// The time of this machine, which is also that of the servers, in milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Something a client did to a job, or was told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// What.
    pub what: String,
}

/// A fault that was inflicted.
#[derive(Clone, Debug)]
pub struct Inflicted {
    /// Which.
    pub fault: Fault,
    /// When it began, in milliseconds since 1970.
    pub from_ms: i64,
    /// When it was over: the process started again or went on, the network well. In milliseconds since 1970.
    pub over_ms: i64,
    /// When what it had hit was well again, in milliseconds since 1970.
    pub until_ms: i64,
    /// How long that took from the moment when the fault itself was over; for each process of a rolling restart, its own.
    pub recoveries: Vec<Duration>,
}

/// A lease counts from its last renewal, the newest of which is a third of a lease old at the most.
const SHORTEST_LEASE_MS: i64 = LEASE.as_secs() as i64 * 1_000 * 2 / 3;

/// How much this machine may be late with anything.
const SLACK_MS: i64 = 500;

impl Inflicted {
    /// Whether this fault may have cost an attempt its lease: it killed the scorer in the middle of it, or kept the scorer
    /// from renewing for as long as a lease lasts.
    pub(crate) fn explains_loss_of(&self, attempt: &Attempt) -> bool {
        let target = match self.fault {
            Fault::Kill(target) | Fault::Pause(target) | Fault::Split(target) => target,
            // What is late arrives within any lease.
            Fault::Network(target, Line::Redis, trouble) if trouble != Trouble::Delay => target,
            _ => return false,
        };
        if target.to_string() != attempt.scorer {
            return false;
        }
        let (from_ms, over_ms) = (self.from_ms - SLACK_MS, self.over_ms + SLACK_MS);
        // A lease begins with its claim, which may be long before Postgres starts the attempt. An epoch is that time.
        let claimed_ms = attempt.lease_epoch / 1_000;
        match self.fault {
            Fault::Kill(_) => claimed_ms <= self.from_ms + SLACK_MS && from_ms <= attempt.ended_ms,
            _ => attempt.ended_ms.min(over_ms) - claimed_ms.max(from_ms) >= SHORTEST_LEASE_MS,
        }
    }
}

/// Everything that was noted during a run.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    notes: Mutex<Notes>,
}

/// What a ledger holds.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// What clients were told of each job that was accepted.
    pub jobs: BTreeMap<Uuid, Vec<Told>>,
    /// Submissions of accepted batches.
    pub in_batches: Vec<Uuid>,
    /// Jobs whose cancellation was answered with yes.
    pub cancelled: Vec<Uuid>,
    /// Requests made with kubectl that the API server took: the resources' uids.
    pub requested: Vec<Uuid>,
    /// Jobs that dead letters were redriven as, by what Postgres says in the end.
    pub redriven: BTreeSet<Uuid>,
    /// Faults.
    pub faults: Vec<Inflicted>,
    /// Answers to requests of clients, by status; 0 is no answer.
    pub answers: BTreeMap<u16, usize>,
    /// Processes of Assay that ended without anybody having asked for it.
    pub ended_by_themselves: Vec<String>,
}

impl Ledger {
    /// Notes what a client was told of a job.
    pub(crate) fn told(&self, job: Uuid, what: impl Into<String>) {
        self.lock().jobs.entry(job).or_default().push(Told { at_ms: now_ms(), what: what.into() });
    }

    /// Changes the notes.
    pub(crate) fn note(&self, change: impl FnOnce(&mut Notes)) {
        change(&mut self.lock());
    }

    /// The notes as they are now.
    pub(crate) fn notes(&self) -> Notes {
        self.lock().clone()
    }

    // Each change is whole, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! What clients were told and which faults there were: what the checker holds against the servers.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use super::plan::{Fault, Line, Role, Target};

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
    /// When what it had hit was well again, in milliseconds since 1970.
    pub until_ms: i64,
    /// How long that took from the moment when the fault itself was over; for each process of a rolling restart, its own.
    pub recoveries: Vec<Duration>,
}

impl Inflicted {
    /// The scorer that may have lost its leases by this fault.
    pub fn costs_leases_of(&self) -> Option<Target> {
        match self.fault {
            Fault::Kill(target)
            | Fault::Pause(target)
            | Fault::Split(target)
            | Fault::Network(target, Line::Redis, _)
                if target.role == Role::Scorer =>
            {
                Some(target)
            }
            _ => None,
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

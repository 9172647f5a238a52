//! Whose rules the world follows.

use domain::queue_rules::{Adopt, Adoption, Claimed, Enqueue, Moment, QueueState};
use domain::transition::{self, Finish, JobState, Start, Verdict};
use domain::{Claim, Epoch};

/// The rules that a world follows. [`Rules::default`] is the domain's own functions, which the store's statements and
/// the queue's scripts are compared with; tests put a broken one in their place and see to it that this is noticed.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// A scorer wants to start a job it claimed.
    pub start: fn(JobState, Epoch, Epoch) -> Start,
    /// A scorer ends its attempt.
    pub finish: fn(JobState, Epoch, Verdict) -> Finish,
    /// Redis hands out jobs.
    pub claim: fn(&mut QueueState, Moment, usize, Epoch) -> Claimed,
    /// Redis takes jobs from an operator.
    pub enqueue: fn(&mut QueueState, Moment, &[Enqueue]) -> u64,
    /// Redis takes a lease back that it had lost.
    pub adopt: fn(&mut QueueState, Moment, &[Adopt]) -> Vec<Adoption>,
    /// Redis drops a lease.
    pub drop_lease: fn(&mut QueueState, Moment, &[Claim]) -> u64,
    /// Whether operators look for missing jobs, once faults have ceased.
    pub audit: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            start: transition::start,
            finish: transition::finish,
            claim: QueueState::claim,
            enqueue: QueueState::enqueue,
            adopt: QueueState::adopt,
            drop_lease: QueueState::finish,
            audit: true,
        }
    }
}

//! How operators keep the queue true to Postgres, step by step, as `operator/src/queueing/` does.

use domain::JobId;
use domain::queue_rules::{Enqueue, Place};

use crate::rules::Rules;
use crate::state::{NOW, State, jobs};

/// An operator: two loops beside each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Operator {
    /// Rebuilds and audits.
    pub keeper: Keeper,
    /// Queues what nobody has queued.
    pub sweep: Sweep,
}

/// What an operator is in the middle of, to keep the queue true.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Keeper {
    /// Nothing.
    #[default]
    Idle,
    /// The next page of active jobs, one job, is to be read from Postgres.
    Reading(Walk, JobId),
    /// A page was read some time ago, and is to be put on the queue.
    Putting(Walk, JobId, Vec<Enqueue>),
    /// The rebuild is to be completed.
    Completing,
    /// All missing jobs are back. The waiting ones are to be listed.
    Listing,
    /// These wait on the queue. Postgres is to say which of them belong there.
    Asking(Vec<JobId>),
    /// These do not belong there.
    Withdrawing(Vec<JobId>),
    /// These were taken off. Postgres is asked whether one of them was resumed meanwhile.
    AskingAgain(Vec<JobId>),
    /// These were, and are to be put back.
    PuttingBack(Vec<Enqueue>),
}

/// Why the active jobs are walked over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Walk {
    /// Redis has lost the queue.
    Rebuild,
    /// To see whether it lost some of it.
    Audit,
}

/// What an operator is in the middle of, to queue what nobody has queued.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sweep {
    /// Nothing.
    #[default]
    Idle,
    /// These were read some time ago, and are to be put on the queue.
    Putting(Vec<Enqueue>),
    /// These are on the queue, which Postgres is to note.
    Noting(Vec<JobId>),
}

/// What an operator does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Lets the lease clock run.
    Tick,
    /// Begins to rebuild a queue that is not current, or to audit one that is.
    Begin,
    /// Goes on with a rebuild or an audit.
    GoOn,
    /// Begins or goes on with the sweep.
    Sweep,
}

impl State {
    /// The operator takes the step.
    pub(crate) fn operator_does(&mut self, rules: &Rules, which: usize, step: Step) {
        match step {
            Step::Tick => drop(self.claim(rules, 0, None)),
            Step::Begin => self.begin(which),
            Step::GoOn => {
                let keeper = std::mem::take(&mut self.operators[which].keeper);
                self.operators[which].keeper = self.go_on(rules, which, keeper);
            }
            Step::Sweep => {
                let sweep = std::mem::take(&mut self.operators[which].sweep);
                self.operators[which].sweep = self.sweep_on(rules, sweep);
            }
        }
    }

    fn begin(&mut self, which: usize) {
        let walk = if self.queue.is_current() {
            Walk::Audit
        } else {
            self.queue.begin_rebuild(token(which));
            Walk::Rebuild
        };
        self.operators[which].keeper = Keeper::Reading(walk, self.first_job());
    }

    fn first_job(&self) -> JobId {
        JobId::from_u128(1)
    }

    fn go_on(&mut self, rules: &Rules, which: usize, keeper: Keeper) -> Keeper {
        match keeper {
            Keeper::Idle => Keeper::Idle,
            Keeper::Reading(walk, job) => match self.active_of([job]) {
                page if page.is_empty() => self.after(walk, job),
                page => Keeper::Putting(walk, job, page),
            },
            Keeper::Putting(walk, job, page) => {
                (rules.enqueue)(&mut self.queue, NOW, &page);
                self.after(walk, job)
            }
            Keeper::Completing => {
                self.queue.complete_rebuild(token(which));
                Keeper::Idle
            }
            Keeper::Listing => match self.waiting() {
                waiting if waiting.is_empty() => Keeper::Idle,
                waiting => Keeper::Asking(waiting),
            },
            Keeper::Asking(waiting) => {
                let gone = |job: &JobId| self.active_of([*job]).is_empty();
                match waiting.into_iter().filter(gone).collect::<Vec<_>>() {
                    gone if gone.is_empty() => Keeper::Idle,
                    gone => Keeper::Withdrawing(gone),
                }
            }
            Keeper::Withdrawing(gone) => {
                self.queue.withdraw(&gone);
                Keeper::AskingAgain(gone)
            }
            Keeper::AskingAgain(gone) => match self.active_of(gone) {
                back if back.is_empty() => Keeper::Idle,
                back => Keeper::PuttingBack(back),
            },
            Keeper::PuttingBack(back) => {
                (rules.enqueue)(&mut self.queue, NOW, &back);
                Keeper::Idle
            }
        }
    }

    /// What comes after the page of this job.
    fn after(&self, walk: Walk, job: JobId) -> Keeper {
        match (jobs(self.rows.len()).find(|other| *other > job), walk) {
            (Some(next), walk) => Keeper::Reading(walk, next),
            (None, Walk::Rebuild) => Keeper::Completing,
            (None, Walk::Audit) => Keeper::Listing,
        }
    }

    fn waiting(&self) -> Vec<JobId> {
        let waits = |place: &Place| !matches!(place, Place::Leased { .. });
        self.queue.places.iter().filter(|(_, place)| waits(place)).map(|(job, _)| *job).collect()
    }

    fn sweep_on(&mut self, rules: &Rules, sweep: Sweep) -> Sweep {
        match sweep {
            Sweep::Idle => match self.unqueued_of(jobs(self.rows.len())) {
                page if page.is_empty() => Sweep::Idle,
                page => Sweep::Putting(page),
            },
            Sweep::Putting(page) => {
                (rules.enqueue)(&mut self.queue, NOW, &page);
                Sweep::Noting(page.iter().map(|item| item.job).collect())
            }
            Sweep::Noting(jobs) => {
                self.note_queued(&jobs);
                Sweep::Idle
            }
        }
    }
}

/// Each operator has one rebuild in hand at most, so its number tells its rebuild from those of others.
pub(crate) fn token(operator: usize) -> u128 {
    operator as u128
}

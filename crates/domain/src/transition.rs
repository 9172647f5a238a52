//! The state machine of a job: who may change it, and into what.
//!
//! These functions are the rules. The store applies them in SQL, as compare-and-set statements on the row, and its
//! tests compare both for every state and event.
//!
//! ```text
//!            start                        finish: done
//!  QUEUED ───────────▶ RUNNING ─────────────────────────────▶ DONE
//!    ▲  ▲                │ │ ╲
//!    │  └── released ────┘ │  ╲ start by a newer epoch, after the lease ran out: the attempt
//!    └───── retryable ─────┘   ╲ is lost; a new one begins, or the last one is spent
//!    │                          ╲
//!    └── cancel, permanent, out of attempts, third crash ────▶ ERROR
//! ```

use crate::{AttemptOutcome, Epoch, JobStatus};

/// How many attempts at a job may end in the death of the process that scored it. A job that does so much harm is not
/// tried again, however many attempts are left. A scorer that went unheard does not count: that is rarely the doing of
/// one of the jobs that it held, and all of them would pay for it.
pub const MOST_CRASHES: u32 = 3;

/// The part of a job that the state machine reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JobState {
    /// Where it stands.
    pub status: JobStatus,
    /// The newest epoch that ever started it, [`Epoch::NONE`] before that.
    pub epoch: Epoch,
    /// Attempts spent, counting the one that is running.
    pub attempt: u32,
    /// How many attempts it may spend.
    pub max_attempts: u32,
    /// Attempts that crashed: the process that scored died of them.
    pub crashes: u32,
    /// Held back by a person. Only keeps a waiting job from starting: a running attempt goes on.
    pub suspended: bool,
}

impl JobState {
    /// A job as it is accepted.
    pub fn accepted(max_attempts: u32) -> JobState {
        JobState {
            status: JobStatus::Queued,
            epoch: Epoch::NONE,
            attempt: 0,
            max_attempts,
            crashes: 0,
            suspended: false,
        }
    }

    /// After an attempt that failed: whether none may follow.
    fn is_spent(self) -> bool {
        self.attempt >= self.max_attempts || self.crashes >= MOST_CRASHES
    }
}

/// An attempt that never ended by itself, and that a newer claim ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TakenOver {
    /// The attempt's epoch.
    pub epoch: Epoch,
    /// `LeaseLost` when its lease ran out: its scorer is gone, and the attempt spent. `Released` when nobody saw that,
    /// because the queue lost the lease: its scorer may be in good health, and the attempt is given back.
    pub outcome: AttemptOutcome,
}

/// What comes of a scorer's wish to start a job it claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Start {
    /// The attempt begins.
    Started {
        /// The job from now on.
        next: JobState,
        /// An earlier attempt that this one ends, to be recorded.
        taken_over: Option<TakenOver>,
    },
    /// This very claim has started it already: the answer to an earlier call was lost on its way.
    AlreadyStarted,
    /// The earlier attempt never ended, and was the last one or one crash too many: the job ends in ERROR, and nothing
    /// is to be scored.
    Exhausted {
        /// The job from now on.
        next: JobState,
        /// The lost attempt's epoch.
        lost: Epoch,
    },
    /// The job has ended: the claim is dropped from the queue.
    Ended,
    /// The job is held back: the claim is given back to the queue, which the job leaves unless it is resumed.
    Suspended,
    /// The claim is not newer than `newest`: its scorer has lost the job, or the Redis clock went back.
    Stale {
        /// The row's epoch.
        newest: Epoch,
    },
}

/// A scorer that claimed the job under `epoch` wants to start it. `expired` is the epoch of the job's last lease when
/// that is known to have run out, otherwise [`Epoch::NONE`]: only a scorer that was given up in that way has spent its
/// attempt, so that no loss of the queue ends a job. A lease that ran out under another epoch says nothing of the running
/// attempt: it was of a claim that never started, and the attempt's own may have been lost or given back before.
pub fn start(job: JobState, epoch: Epoch, expired: Epoch) -> Start {
    if job.status.is_terminal() {
        return Start::Ended;
    }
    let running = job.status == JobStatus::Running;
    if running && epoch == job.epoch {
        return Start::AlreadyStarted;
    }
    if epoch <= job.epoch {
        return Start::Stale { newest: job.epoch };
    }
    let next = JobState { status: JobStatus::Running, epoch, ..job };
    let one_more = JobState { attempt: job.attempt + 1, ..next };
    let taken_over = |outcome| Some(TakenOver { epoch: job.epoch, outcome });
    if !running && job.suspended {
        Start::Suspended
    } else if !running {
        Start::Started { next: one_more, taken_over: None }
    } else if job.epoch != expired {
        Start::Started { next, taken_over: taken_over(AttemptOutcome::Released) }
    } else if job.is_spent() {
        Start::Exhausted { next: JobState { status: JobStatus::Error, ..next }, lost: job.epoch }
    } else {
        Start::Started { next: one_more, taken_over: taken_over(AttemptOutcome::LeaseLost) }
    }
}

/// How a scorer says its attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// There is a score.
    Done,
    /// It failed in a way that may pass.
    Retryable,
    /// The process that scored died of it, which may pass, but not often.
    Crashed,
    /// It failed in a way that will not pass.
    Permanent,
    /// It is handed back unharmed, and spends no attempt.
    Released,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Verdict; 5] =
        [Verdict::Done, Verdict::Retryable, Verdict::Crashed, Verdict::Permanent, Verdict::Released];

    /// What the audit table says of the attempt.
    pub fn outcome(self) -> AttemptOutcome {
        match self {
            Verdict::Done => AttemptOutcome::Done,
            // Its error code tells a crash from the others.
            Verdict::Retryable | Verdict::Crashed => AttemptOutcome::Retryable,
            Verdict::Permanent => AttemptOutcome::Permanent,
            Verdict::Released => AttemptOutcome::Released,
        }
    }
}

/// What comes of a scorer's wish to end its attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Finish {
    /// The verdict stands.
    Recorded {
        /// The job from now on. `Queued` means that it is to be tried again.
        next: JobState,
    },
    /// The job is no longer this scorer's: the verdict changes nothing.
    Refused,
}

/// The scorer that holds the job under `epoch` ends its attempt.
pub fn finish(job: JobState, epoch: Epoch, verdict: Verdict) -> Finish {
    if job.status != JobStatus::Running || epoch != job.epoch {
        return Finish::Refused;
    }
    let next = match verdict {
        Verdict::Done => JobState { status: JobStatus::Done, ..job },
        Verdict::Permanent => JobState { status: JobStatus::Error, ..job },
        Verdict::Retryable | Verdict::Crashed => {
            let next = JobState { crashes: job.crashes + u32::from(verdict == Verdict::Crashed), ..job };
            let status = if next.is_spent() { JobStatus::Error } else { JobStatus::Queued };
            JobState { status, ..next }
        }
        Verdict::Released => JobState { status: JobStatus::Queued, attempt: job.attempt - 1, ..job },
    };
    Finish::Recorded { next }
}

/// What comes of the wish to withdraw a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cancel {
    /// The job ends in ERROR. `attempt` is the epoch of the attempt that was running, to be recorded as cancelled.
    Cancelled {
        /// The job from now on.
        next: JobState,
        /// The running attempt's epoch.
        attempt: Option<Epoch>,
    },
    /// The job had ended before.
    Ended,
}

/// A person or client withdraws the job.
pub fn cancel(job: JobState) -> Cancel {
    if job.status.is_terminal() {
        return Cancel::Ended;
    }
    Cancel::Cancelled {
        next: JobState { status: JobStatus::Error, ..job },
        attempt: (job.status == JobStatus::Running).then_some(job.epoch),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn running(attempt: u32, epoch: i64) -> JobState {
        JobState {
            status: JobStatus::Running,
            epoch: Epoch(epoch),
            attempt,
            max_attempts: 4,
            crashes: 0,
            suspended: false,
        }
    }

    #[test]
    fn a_newer_claim_takes_over_and_records_the_attempt_whose_lease_ran_out() {
        let Start::Started { next, taken_over } = start(running(1, 10), Epoch(12), Epoch(10)) else {
            panic!("refused")
        };
        let lost = TakenOver { epoch: Epoch(10), outcome: AttemptOutcome::LeaseLost };
        assert_eq!((next.attempt, next.epoch, taken_over), (2, Epoch(12), Some(lost)));
    }

    #[test]
    fn a_takeover_that_no_lease_ran_out_for_spends_no_attempt_and_ends_no_job() {
        for (attempt, expired) in [(1, Epoch::NONE), (4, Epoch::NONE), (4, Epoch(9)), (4, Epoch(11))] {
            let Start::Started { next, taken_over } = start(running(attempt, 10), Epoch(12), expired) else {
                panic!("refused")
            };
            let released = TakenOver { epoch: Epoch(10), outcome: AttemptOutcome::Released };
            assert_eq!((next.attempt, next.epoch, taken_over), (attempt, Epoch(12), Some(released)));
        }
    }

    #[test]
    fn a_job_that_kills_its_last_scorer_ends_in_error() {
        let Start::Exhausted { next, lost } = start(running(4, 10), Epoch(11), Epoch(10)) else {
            panic!("started")
        };
        assert_eq!((next.status, lost), (JobStatus::Error, Epoch(10)));
    }

    #[test]
    fn a_job_that_kills_its_third_process_ends_in_error_with_attempts_left() {
        let twice = JobState { crashes: 2, ..running(3, 10) };
        let Finish::Recorded { next } = finish(twice, Epoch(10), Verdict::Crashed) else { panic!("refused") };
        assert_eq!((next.status, next.crashes, next.attempt), (JobStatus::Error, 3, 3));
    }

    #[test]
    fn only_a_crash_counts_as_one() {
        for verdict in Verdict::ALL {
            let Finish::Recorded { next } = finish(running(1, 10), Epoch(10), verdict) else {
                panic!("refused")
            };
            assert_eq!(next.crashes, u32::from(verdict == Verdict::Crashed), "{verdict:?}");
        }
        for expired in [Epoch(10), Epoch::NONE] {
            let Start::Started { next, .. } = start(running(1, 10), Epoch(11), expired) else {
                panic!("refused")
            };
            assert_eq!(next.crashes, 0, "a scorer that goes unheard is not the job's doing");
        }
    }

    #[test]
    fn a_repeated_start_is_recognised() {
        assert_eq!(start(running(1, 10), Epoch(10), Epoch::NONE), Start::AlreadyStarted);
    }

    #[test]
    fn a_stale_epoch_can_neither_start_nor_finish() {
        assert_eq!(start(running(1, 10), Epoch(9), Epoch::NONE), Start::Stale { newest: Epoch(10) });
        for verdict in Verdict::ALL {
            assert_eq!(finish(running(1, 10), Epoch(9), verdict), Finish::Refused);
        }
    }

    #[test]
    fn a_released_claim_cannot_start_again() {
        let Finish::Recorded { next } = finish(running(1, 10), Epoch(10), Verdict::Released) else {
            panic!("refused")
        };
        assert_eq!((next.status, next.attempt), (JobStatus::Queued, 0));
        assert_eq!(start(next, Epoch(10), Epoch::NONE), Start::Stale { newest: Epoch(10) });
    }

    #[test]
    fn the_last_retryable_failure_ends_the_job() {
        let Finish::Recorded { next } = finish(running(4, 10), Epoch(10), Verdict::Retryable) else {
            panic!("refused")
        };
        assert_eq!(next.status, JobStatus::Error);
    }

    #[test]
    fn a_suspended_job_waits_but_a_running_one_is_taken_over() {
        let waiting = JobState { suspended: true, ..JobState::accepted(4) };
        assert_eq!(start(waiting, Epoch(1), Epoch::NONE), Start::Suspended);
        let held = JobState { suspended: true, ..running(1, 10) };
        assert!(matches!(start(held, Epoch(11), Epoch(10)), Start::Started { .. }));
    }

    #[derive(Clone, Debug)]
    enum Event {
        /// Under this epoch, when leases up to the other are known to have run out.
        Start(i64, i64),
        Finish(i64, Verdict),
        Cancel,
        Suspend(bool),
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let verdict = prop::sample::select(Verdict::ALL.to_vec());
        let event = prop_oneof![
            4 => (1i64..20, 0i64..20).prop_map(|(epoch, expired)| Event::Start(epoch, expired)),
            4 => (1i64..20, verdict).prop_map(|(epoch, verdict)| Event::Finish(epoch, verdict)),
            1 => Just(Event::Cancel),
            1 => any::<bool>().prop_map(Event::Suspend),
        ];
        prop::collection::vec(event, 1..60)
    }

    proptest! {
        /// Whatever arrives in whatever order: nothing leaves a terminal state, the epoch only rises, attempts stay
        /// within the limit, at most one attempt is ever recorded as done, only a lease that is known to have run out
        /// spends one, and no job that may be tried again has crashed as often as a job may.
        #[test]
        fn no_sequence_of_events_breaks_an_invariant(max_attempts in 1u32..5, events in events()) {
            let mut job = JobState::accepted(max_attempts);
            let mut done = 0;
            for event in events {
                let before = job;
                match event {
                    Event::Start(epoch, expired) => match start(job, Epoch(epoch), Epoch(expired)) {
                        Start::Started { next, taken_over } => {
                            let spent = taken_over.is_none_or(|it| it.outcome == AttemptOutcome::LeaseLost);
                            prop_assert_eq!(next.attempt, before.attempt + u32::from(spent));
                            job = next;
                        }
                        Start::Exhausted { next, lost } => {
                            prop_assert_eq!(lost, Epoch(expired));
                            job = next;
                        }
                        _ => {}
                    },
                    Event::Finish(epoch, verdict) => {
                        if let Finish::Recorded { next } = finish(job, Epoch(epoch), verdict) {
                            prop_assert_eq!(Epoch(epoch), before.epoch);
                            done += u32::from(verdict == Verdict::Done);
                            job = next;
                        }
                    }
                    Event::Cancel => {
                        if let Cancel::Cancelled { next, .. } = cancel(job) {
                            job = next;
                        }
                    }
                    Event::Suspend(suspended) => job.suspended = suspended,
                }
                prop_assert!(before.status.is_active() || job.status == before.status);
                prop_assert!(job.epoch >= before.epoch);
                prop_assert!(job.attempt <= job.max_attempts);
                prop_assert!(job.crashes <= job.attempt.min(MOST_CRASHES));
                prop_assert!(job.status.is_terminal() || job.crashes < MOST_CRASHES);
                prop_assert!(job.status != JobStatus::Running || (job.attempt >= 1 && job.epoch > Epoch::NONE));
            }
            prop_assert!(done <= 1);
        }
    }
}

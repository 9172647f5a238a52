//! Why a job is a dead letter: one that ended without a score.

use serde::{Deserialize, Serialize};

use crate::{AttemptOutcome, ErrorCode};

/// What ended a job that has no score. Tells whoever redrives it what to expect: the same failure again, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Its last attempt failed in a way that does not pass: unless submission, rubric or scorer are others, so will the
    /// next.
    Permanent,
    /// Its last attempt failed in a way that may pass, and was the last that it had.
    RetriesExhausted,
    /// Its last attempt was one whose scorer went unheard, for example because the job killed it.
    LeaseLost,
    /// It killed what scored it, once in its last attempt or too often altogether.
    Crashed,
    /// A person or client withdrew it.
    Cancelled,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Cause; 5] =
        [Cause::Permanent, Cause::RetriesExhausted, Cause::LeaseLost, Cause::Crashed, Cause::Cancelled];

    /// The name used over HTTP.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Permanent => "permanent",
            Cause::RetriesExhausted => "retries_exhausted",
            Cause::LeaseLost => "lease_lost",
            Cause::Crashed => "crashed",
            Cause::Cancelled => "cancelled",
        }
    }

    /// The cause, from the job's error code and how its last attempt ended, if it had one. Nothing when the record does
    /// not say, because its attempts are no longer kept.
    pub fn of(code: &ErrorCode, last_attempt: Option<AttemptOutcome>) -> Option<Cause> {
        // Most are withdrawn while they wait, which is no attempt.
        if *code == ErrorCode::CANCELLED {
            return Some(Cause::Cancelled);
        }
        if *code == ErrorCode::CRASHED {
            return Some(Cause::Crashed);
        }
        match last_attempt? {
            AttemptOutcome::Permanent => Some(Cause::Permanent),
            AttemptOutcome::Retryable => Some(Cause::RetriesExhausted),
            AttemptOutcome::LeaseLost => Some(Cause::LeaseLost),
            AttemptOutcome::Cancelled => Some(Cause::Cancelled),
            // Neither ends a job without a score.
            AttemptOutcome::Done | AttemptOutcome::Released => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_fail_is_told_from_the_others() {
        let of = |code, outcome| Cause::of(&code, outcome);
        let timeout = || ErrorCode::TIMEOUT;
        assert_eq!(of(ErrorCode::INVALID_CONTENT, Some(AttemptOutcome::Permanent)), Some(Cause::Permanent));
        assert_eq!(of(timeout(), Some(AttemptOutcome::Retryable)), Some(Cause::RetriesExhausted));
        assert_eq!(of(ErrorCode::LEASE_LOST, Some(AttemptOutcome::LeaseLost)), Some(Cause::LeaseLost));
        for last in [AttemptOutcome::Retryable, AttemptOutcome::LeaseLost] {
            assert_eq!(of(ErrorCode::CRASHED, Some(last)), Some(Cause::Crashed));
        }
        assert_eq!(of(timeout(), None), None);
    }

    #[test]
    fn a_job_withdrawn_while_it_waited_was_cancelled_whatever_its_attempts_were() {
        for last in [None, Some(AttemptOutcome::Retryable), Some(AttemptOutcome::Cancelled)] {
            assert_eq!(Cause::of(&ErrorCode::CANCELLED, last), Some(Cause::Cancelled));
        }
    }
}

//! How one attempt at a job ended, and what its job's error is called.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The end of one attempt, as the audit table `scoring_attempts` records it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// A score was recorded.
    Done,
    /// It failed in a way that may pass (network, timeout): tried again while attempts are left.
    Retryable,
    /// It failed in a way that will not pass (invalid content or rubric): never tried again.
    Permanent,
    /// Its scorer went unheard until the lease ran out; recorded by the scorer that took over.
    LeaseLost,
    /// A person or client withdrew the job.
    Cancelled,
    /// Its scorer handed it back unharmed, at shutdown or because the system itself failed. Spends no attempt.
    Released,
}

impl AttemptOutcome {
    /// Every outcome.
    pub const ALL: [AttemptOutcome; 6] = [
        AttemptOutcome::Done,
        AttemptOutcome::Retryable,
        AttemptOutcome::Permanent,
        AttemptOutcome::LeaseLost,
        AttemptOutcome::Cancelled,
        AttemptOutcome::Released,
    ];

    /// The name used in Postgres and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            AttemptOutcome::Done => "done",
            AttemptOutcome::Retryable => "retryable",
            AttemptOutcome::Permanent => "permanent",
            AttemptOutcome::LeaseLost => "lease_lost",
            AttemptOutcome::Cancelled => "cancelled",
            AttemptOutcome::Released => "released",
        }
    }

    /// Whether the attempt counts against the job's limit.
    pub fn spends_attempt(self) -> bool {
        self != AttemptOutcome::Released
    }
}

impl fmt::Display for AttemptOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not the name of an outcome.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the outcome of an attempt")]
pub struct UnknownOutcome(String);

impl FromStr for AttemptOutcome {
    type Err = UnknownOutcome;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        AttemptOutcome::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
            .ok_or_else(|| UnknownOutcome(text.to_owned()))
    }
}

/// A stable, machine-readable name of why a job ended in ERROR.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ErrorCode(std::borrow::Cow<'static, str>);

impl ErrorCode {
    /// The submission's content cannot be scored.
    pub const INVALID_CONTENT: ErrorCode = ErrorCode::named("invalid_content");
    /// The rubric cannot be applied.
    pub const INVALID_RUBRIC: ErrorCode = ErrorCode::named("invalid_rubric");
    /// The last attempt ran out of time.
    pub const TIMEOUT: ErrorCode = ErrorCode::named("timeout");
    /// The process that scored died of the attempt. As the error of a job: in its last attempt, or as often as a job
    /// may crash, be it this process or the whole scorer.
    pub const CRASHED: ErrorCode = ErrorCode::named("crashed");
    /// The scorer vanished in the last attempt, for example because the job killed it.
    pub const LEASE_LOST: ErrorCode = ErrorCode::named("lease_lost");
    /// A person or client withdrew the job.
    pub const CANCELLED: ErrorCode = ErrorCode::named("cancelled");
    /// A defect of Assay itself.
    pub const INTERNAL: ErrorCode = ErrorCode::named("internal");

    const fn named(name: &'static str) -> ErrorCode {
        ErrorCode(std::borrow::Cow::Borrowed(name))
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for ErrorCode {
    fn from(name: String) -> Self {
        ErrorCode(name.into())
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_reads_back_from_its_name() {
        for outcome in AttemptOutcome::ALL {
            assert_eq!(outcome.as_str().parse(), Ok(outcome));
        }
    }

    #[test]
    fn only_a_released_attempt_is_free() {
        let free: Vec<_> = AttemptOutcome::ALL.into_iter().filter(|o| !o.spends_attempt()).collect();
        assert_eq!(free, [AttemptOutcome::Released]);
    }
}

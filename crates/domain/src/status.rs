//! The states of a job.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a job stands. `Queued` and `Running` are *active*; `Done` and `Error` are *terminal* and never left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum JobStatus {
    /// Accepted, and waiting for a scorer or for its next attempt.
    Queued,
    /// A scorer holds it under a lease.
    Running,
    /// Scored.
    Done,
    /// Ended without a score: failed for good, ran out of attempts, or was cancelled.
    Error,
}

impl JobStatus {
    /// Every status, in the order in which a job meets them.
    pub const ALL: [JobStatus; 4] =
        [JobStatus::Queued, JobStatus::Running, JobStatus::Done, JobStatus::Error];

    /// The name used in Postgres, in Kubernetes and over HTTP.
    pub fn as_str(self) -> &'static str {
        match self {
            JobStatus::Queued => "QUEUED",
            JobStatus::Running => "RUNNING",
            JobStatus::Done => "DONE",
            JobStatus::Error => "ERROR",
        }
    }

    /// Whether the job may still change.
    pub fn is_active(self) -> bool {
        matches!(self, JobStatus::Queued | JobStatus::Running)
    }

    /// Whether the job has ended.
    pub fn is_terminal(self) -> bool {
        !self.is_active()
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not the name of a status.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a job status: use QUEUED, RUNNING, DONE or ERROR")]
pub struct UnknownStatus(String);

impl FromStr for JobStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        JobStatus::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_reads_back_from_its_name() {
        for status in JobStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
    }

    #[test]
    fn an_unknown_status_names_the_valid_ones() {
        let error = "queued".parse::<JobStatus>().expect_err("lower case is not a status");
        assert_eq!(error.to_string(), "\"queued\" is not a job status: use QUEUED, RUNNING, DONE or ERROR");
    }
}

//! Why a submission got no score.

use std::time::Duration;

use domain::ErrorCode;
use domain::rubric::InvalidRubric;
use domain::submission::InvalidContent;
use serde::{Deserialize, Serialize};

/// Scoring failed. The message is for the person who submitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ScoringError {
    /// It would fail again: never tried again.
    #[error("{code}: {message}")]
    Permanent {
        /// The stable name of the cause.
        code: ErrorCode,
        /// What is wrong, and with what.
        message: String,
    },
    /// It may succeed another time.
    #[error("{code}: {message}")]
    Retryable {
        /// The stable name of the cause.
        code: ErrorCode,
        /// What happened.
        message: String,
    },
    /// The process that scored it died of it. It may succeed another time, but is not tried often.
    #[error("{}: {message}", ErrorCode::CRASHED)]
    Crashed {
        /// How it died.
        message: String,
    },
    /// Nothing came of it for reasons that are not the submission's: it is handed back, and spends no attempt.
    #[error("not scored: {message}")]
    Released {
        /// What went wrong here.
        message: String,
    },
}

impl ScoringError {
    /// The content cannot be scored under this rubric.
    pub fn invalid_content(message: impl Into<String>) -> ScoringError {
        ScoringError::Permanent { code: ErrorCode::INVALID_CONTENT, message: message.into() }
    }

    /// The rubric cannot be applied to anything.
    pub fn invalid_rubric(message: impl Into<String>) -> ScoringError {
        ScoringError::Permanent { code: ErrorCode::INVALID_RUBRIC, message: message.into() }
    }

    pub(crate) fn timed_out(timeout: Duration) -> ScoringError {
        ScoringError::Retryable {
            code: ErrorCode::TIMEOUT,
            message: format!("scoring took longer than {timeout:?}, which is the limit"),
        }
    }

    pub(crate) fn defect(message: impl Into<String>) -> ScoringError {
        ScoringError::Retryable { code: ErrorCode::INTERNAL, message: message.into() }
    }
}

impl From<InvalidContent> for ScoringError {
    fn from(error: InvalidContent) -> Self {
        ScoringError::invalid_content(error.to_string())
    }
}

impl From<InvalidRubric> for ScoringError {
    fn from(error: InvalidRubric) -> Self {
        ScoringError::invalid_rubric(error.to_string())
    }
}

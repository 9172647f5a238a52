//! What scoring one submission may cost.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::ScoringError;

/// Bounds on scoring one submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// How long it may take. Reaching it is a retryable failure, since a busy machine may be the cause.
    pub timeout: Duration,
    /// How long all texts may be together, in bytes. Beyond it the content is refused for good.
    pub max_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { timeout: Duration::from_secs(30), max_bytes: 2 * 1024 * 1024 }
    }
}

/// The moment at which scoring must stop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    /// `None` where the timeout lies beyond what the clock can express.
    at: Option<Instant>,
    timeout: Duration,
}

impl Deadline {
    pub(super) fn after(timeout: Duration) -> Deadline {
        Deadline { at: Instant::now().checked_add(timeout), timeout }
    }

    pub(super) fn has_passed(&self) -> bool {
        self.at.is_some_and(|at| Instant::now() >= at)
    }

    pub(super) fn check(&self) -> Result<(), ScoringError> {
        if self.has_passed() { Err(ScoringError::timed_out(self.timeout)) } else { Ok(()) }
    }
}

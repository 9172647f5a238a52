//! What a scorer needs from whatever does the scoring.

use std::sync::Arc;

use domain::report::Report;
use domain::{ErrorCode, JobId};
use futures::future::BoxFuture;

use crate::scoring::{CompiledRubric, Limits, ScoringError};
use crate::slots::Slot;

/// What came of scoring a submission.
pub type Outcome = Result<Report, ScoringError>;

/// Scores submissions: light work on [`Threads`](crate::Threads), the rest in [`Children`](crate::Children).
///
/// The caller bounds the time, drops the future when that is over or the job is no longer its own, and takes a panic
/// for a failure of that job alone. An engine that cannot stop the work then keeps the assignment, and with it the
/// slot, until it ends.
pub trait Engine: Send + Sync + 'static {
    /// Scores one submission.
    fn score(&self, assignment: Assignment) -> BoxFuture<'static, Outcome>;
}

/// One submission to score.
#[derive(Debug)]
pub struct Assignment {
    /// The job, for logs.
    pub job: JobId,
    /// The submission's content as JSON text.
    pub content: String,
    /// What to score it by.
    pub rubric: Arc<CompiledRubric>,
    /// What it may cost.
    pub limits: Limits,
    /// Free for another job once this is dropped.
    pub(crate) _slot: Slot,
}

/// The failure of a job whose scoring ended in a panic.
pub(crate) fn panicked() -> ScoringError {
    ScoringError::Permanent {
        code: ErrorCode::INTERNAL,
        message: "scoring failed because of a defect in the scorer; its operators find details in its log"
            .to_owned(),
    }
}

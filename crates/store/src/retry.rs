//! Trying an ended job again: a new job for the same submission.

use domain::{JobId, JobStatus};

use crate::accept::{Accepted, Refusal};
use crate::redrive::Which;
use crate::{Redrive, RedriveOrder, Redriven, Skip, Store, StoreError};

/// Someone wants an ended job tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryRequest {
    /// The job that ended.
    pub job: JobId,
    /// The id that the new one is to have. Asking again under the same id finds out what the first time did.
    pub new_id: JobId,
    /// Who wants it, for the audit log.
    pub by: String,
    /// The W3C trace context of the request.
    pub traceparent: Option<String>,
}

/// What came of the wish to try a job again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retried {
    /// As for any request: a new job, another active one, or a refusal.
    Answered(Accepted),
    /// The job has not ended.
    StillActive {
        /// Where it stands.
        status: JobStatus,
    },
    /// There is no such job.
    NotFound,
}

impl Store {
    /// Accepts a new job for the submission of one that has ended, with the same choices and the newest version of
    /// its rubric. May be repeated as it is after an error.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn retry(&self, request: &RetryRequest) -> Result<Retried, StoreError> {
        let redrive = Redrive { job: request.job, new_id: request.new_id };
        let order =
            RedriveOrder { traceparent: request.traceparent.clone(), ..RedriveOrder::by(&request.by) };
        let answer = self.make_anew(&[redrive], &order, Which::AnyEnded).await?.pop();
        Ok(match answer.unwrap_or(Redriven::NotFound) {
            Redriven::Made { id, .. } => Retried::Answered(Accepted::Created { id }),
            Redriven::Skipped(Skip::Active { job, status }) => {
                Retried::Answered(Accepted::Existing { id: job, status })
            }
            Redriven::Skipped(Skip::OverQuota { allowed }) => {
                Retried::Answered(Accepted::Refused(Refusal::OverQuota { allowed }))
            }
            Redriven::Skipped(Skip::UnknownRubric) => {
                Retried::Answered(Accepted::Refused(Refusal::UnknownRubric))
            }
            Redriven::Skipped(Skip::UnknownSubmission) => {
                Retried::Answered(Accepted::Refused(Refusal::UnknownSubmission))
            }
            Redriven::NotFailed { status } => Retried::StillActive { status },
            Redriven::NotFound => Retried::NotFound,
            // What else speaks against a redrive is no matter here.
            Redriven::Unsettled | Redriven::Skipped(_) => Retried::Answered(Accepted::Unsettled),
        })
    }
}

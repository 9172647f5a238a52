//! A dead letter as clients see it.

use domain::{BatchId, Cause, JobId, JobStatus};
use jiff::Timestamp;
use serde::Serialize;
use store::DeadLetter;
use utoipa::ToSchema;

use crate::openapi::terms;
use crate::routes::scoring::Job;

/// A job that ended without a score.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeadLetter)]
pub(super) struct Letter {
    #[serde(flatten)]
    job: Job,
    tenant: String,
    /// The batch that it is a member of.
    #[schema(required, value_type = Option<Uuid>)]
    batch_id: Option<BatchId>,
    /// Attempts that it had.
    max_attempts: u32,
    /// Nothing when its attempts are no longer kept.
    #[schema(required, value_type = Option<terms::Cause>)]
    cause: Option<Cause>,
    #[schema(required)]
    redriven_as: Option<Successor>,
}

/// The job that it was redriven as.
#[derive(Serialize, ToSchema)]
struct Successor {
    #[schema(value_type = Uuid)]
    job_id: JobId,
    /// Nothing when that job is no longer on record.
    #[schema(required, value_type = Option<terms::JobStatus>)]
    status: Option<JobStatus>,
    at: Timestamp,
}

impl From<DeadLetter> for Letter {
    fn from(DeadLetter { job, cause, successor }: DeadLetter) -> Self {
        Letter {
            tenant: job.tenant.clone(),
            batch_id: job.batch_id,
            max_attempts: job.max_attempts,
            job: job.into(),
            cause,
            redriven_as: successor.map(|successor| Successor {
                job_id: successor.job,
                status: successor.status,
                at: successor.at,
            }),
        }
    }
}

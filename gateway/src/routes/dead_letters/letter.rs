//! A dead letter as clients see it.

use domain::{BatchId, Cause, JobId, JobStatus};
use jiff::Timestamp;
use serde::Serialize;
use store::DeadLetter;

use crate::routes::scoring::Job;

/// A job that ended without a score.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Letter {
    #[serde(flatten)]
    job: Job,
    tenant: String,
    batch_id: Option<BatchId>,
    max_attempts: u32,
    /// `permanent`, `retries_exhausted`, `crashed`, `lease_lost` or `cancelled`.
    cause: Option<Cause>,
    redriven_as: Option<Successor>,
}

/// The job that it was redriven as.
#[derive(Serialize)]
struct Successor {
    job_id: JobId,
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

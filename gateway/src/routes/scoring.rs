//! `/api/scoring`

mod attempts;
pub(crate) mod batches;
mod cancel;
mod create;
mod events;
mod job;
mod list;
mod retry;
mod show;

pub(crate) use attempts::{__path_attempts, attempts};
pub(crate) use cancel::{__path_cancel, cancel};
pub(crate) use create::{__path_create, create};
pub(crate) use events::{__path_events, events};
pub(super) use job::Job;
pub(crate) use list::{__path_list, list};
pub(crate) use retry::{__path_retry, retry};
pub(crate) use show::{__path_show, show};

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use domain::{JobId, JobStatus};
use serde::Serialize;
use store::Accepted;
use utoipa::ToSchema;

use crate::openapi::terms;
use crate::problem::{Code, Problem};

/// What a request for a job is answered: the job that scores the submission, be it a new one or one that was there.
#[derive(Serialize, ToSchema)]
pub(super) struct Ticket {
    #[schema(value_type = Uuid)]
    job_id: JobId,
    #[schema(value_type = terms::JobStatus)]
    status: JobStatus,
}

impl Ticket {
    /// The answer to what came of the request.
    pub(super) fn answer(accepted: Accepted) -> Result<Response, Problem> {
        let (code, job_id, status) = match accepted {
            Accepted::Created { id } => (StatusCode::ACCEPTED, id, JobStatus::Queued),
            Accepted::Existing { id, status } => (StatusCode::OK, id, status),
            Accepted::Refused(refusal) => return Err(refusal.into()),
            Accepted::Unsettled => return Err(Problem::unavailable()),
        };
        Ok((code, Json(Ticket { job_id, status })).into_response())
    }
}

fn no_such_job() -> Problem {
    Problem::new(Code::UnknownJob, "There is no such job.")
}

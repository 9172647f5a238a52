//! `GET /api/dead-letters/:id`

use axum::Json;
use axum::extract::State;
use domain::{JobId, JobStatus};
use jiff::Timestamp;
use serde::Serialize;
use store::{DeadLetterDetail, RedriveRow};
use utoipa::ToSchema;

use super::letter::Letter;
use super::no_such_dead_letter;
use crate::app::SharedApp;
use crate::caller::Caller;
use crate::extract::Id;
use crate::openapi::terms;
use crate::problem::{Code, Problem};
use crate::repeat::repeat;
use crate::routes::attempt::Attempt;
use crate::traceparent::trace_id;

/// A dead letter with all that is on record about it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeadLetterDetail)]
pub(crate) struct Detail {
    job: Letter,
    /// Of the request that made it: what logs and traces know it by.
    #[schema(required)]
    trace_id: Option<String>,
    attempts: Vec<Attempt>,
    redrives: Vec<Redrive>,
    /// The dead letter that this one is a redrive of.
    #[schema(required, value_type = Option<Uuid>)]
    redrive_of: Option<JobId>,
}

/// One time that it was redriven.
#[derive(Serialize, ToSchema)]
struct Redrive {
    /// By whom.
    by: String,
    at: Timestamp,
    /// The new job.
    #[schema(value_type = Uuid)]
    job_id: JobId,
    /// Nothing when that job is no longer on record.
    #[schema(required, value_type = Option<terms::JobStatus>)]
    status: Option<JobStatus>,
}

impl From<RedriveRow> for Redrive {
    fn from(row: RedriveRow) -> Self {
        Redrive { by: row.by, at: row.at, job_id: row.new_job, status: row.status }
    }
}

/// Shows a dead letter.
#[utoipa::path(
    get, path = "/api/dead-letters/{id}", tag = "dead letters", operation_id = "showDeadLetter",
    params(("id" = Uuid, Path, description = "The id of the job that ended without a score.")),
    responses((status = 200, description = "The dead letter.", body = Detail)),
    extensions(("x-problems" = json!([Code::UnknownDeadLetter]))),
)]
pub(crate) async fn show(
    State(app): State<SharedApp>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Detail>, Problem> {
    let store = app.store(&caller);
    let DeadLetterDetail { letter, attempts, redrives, redrive_of } =
        repeat(|| store.dead_letter(id)).await?.ok_or_else(no_such_dead_letter)?;
    Ok(Json(Detail {
        trace_id: letter.job.traceparent.as_deref().and_then(trace_id).map(str::to_owned),
        job: letter.into(),
        attempts: attempts.into_iter().map(Attempt::from).collect(),
        redrives: redrives.into_iter().map(Redrive::from).collect(),
        redrive_of,
    }))
}

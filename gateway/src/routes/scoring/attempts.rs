//! `GET /api/scoring/:id/attempts`

use axum::Json;
use axum::extract::State;
use domain::{BatchId, JobId};
use jiff::Timestamp;
use serde::Serialize;
use store::ActionRow;
use utoipa::ToSchema;

use super::no_such_job;
use crate::app::SharedApp;
use crate::caller::Caller;
use crate::extract::Id;
use crate::problem::{Code, Problem};
use crate::repeat::repeat;
use crate::routes::attempt::Attempt;
use crate::traceparent::trace_id;

/// How a job came to where it stands.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = JobCourse)]
pub(crate) struct Course {
    #[serde(rename = "job_id")]
    #[schema(value_type = Uuid)]
    job_id: JobId,
    tenant: String,
    #[schema(required, value_type = Option<Uuid>)]
    batch_id: Option<BatchId>,
    /// Of the request that made it: what logs and traces know it by.
    #[schema(required)]
    trace_id: Option<String>,
    /// Not started before.
    #[schema(required)]
    not_before: Option<Timestamp>,
    /// Held back by a person.
    suspended: bool,
    /// Since when it has been on the queue, which is since it was accepted.
    #[schema(required)]
    queued_at: Option<Timestamp>,
    /// Who holds it, or held it last.
    #[schema(required)]
    scorer: Option<String>,
    max_attempts: u32,
    timeout_seconds: u32,
    /// Those that have ended, in their order.
    attempts: Vec<Attempt>,
    /// What people did with it, in that order.
    actions: Vec<Action>,
}

/// What somebody did with a job.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Action {
    /// `cancel`, `redrive` or `regrade`.
    action: String,
    by: String,
    at: Timestamp,
    #[schema(required)]
    reason: Option<String>,
    /// The job that came of it.
    #[schema(required, value_type = Option<Uuid>)]
    new_job_id: Option<JobId>,
}

impl From<ActionRow> for Action {
    fn from(row: ActionRow) -> Self {
        Action { action: row.action, by: row.by, at: row.at, reason: row.reason, new_job_id: row.new_job }
    }
}

/// Shows how a job came to where it stands: its attempts, and what people did with it.
#[utoipa::path(
    get, path = "/api/scoring/{id}/attempts", tag = "scoring", operation_id = "showAttempts",
    params(("id" = Uuid, Path, description = "The job's.")),
    responses((status = 200, description = "The job's course.", body = Course)),
    extensions(("x-problems" = json!([Code::UnknownJob]))),
)]
pub(crate) async fn attempts(
    State(app): State<SharedApp>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Course>, Problem> {
    let store = app.store(&caller);
    let job = repeat(|| store.job(id)).await?.ok_or_else(no_such_job)?.job;
    let attempts = repeat(|| store.attempts(id)).await?;
    let actions = repeat(|| store.actions(id)).await?;
    Ok(Json(Course {
        job_id: job.id,
        tenant: job.tenant,
        batch_id: job.batch_id,
        trace_id: job.traceparent.as_deref().and_then(trace_id).map(str::to_owned),
        not_before: job.not_before,
        suspended: job.suspended,
        queued_at: job.queued_at,
        scorer: job.scorer,
        max_attempts: job.max_attempts,
        timeout_seconds: job.timeout_seconds,
        attempts: attempts.into_iter().map(Attempt::from).collect(),
        actions: actions.into_iter().map(Action::from).collect(),
    }))
}

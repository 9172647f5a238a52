//! `GET /api/scoring/batches/:id`

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use domain::{BatchId, JobId, Pool, Priority, SubmissionId};
use jiff::Timestamp;
use serde::Serialize;
use store::BatchDetail;
use utoipa::ToSchema;

use super::{Rejected, no_such_batch};
use crate::app::SharedApp;
use crate::caller::Caller;
use crate::conditions::{EntityTag, Tags};
use crate::extract::Id;
use crate::openapi::terms;
use crate::problem::{Code, Problem};
use crate::repeat::repeat;

/// A batch and how its members stand.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Batch {
    #[serde(rename = "batch_id")]
    #[schema(value_type = Uuid)]
    batch_id: BatchId,
    /// Submissions named.
    total: u32,
    /// Its jobs.
    accepted: u32,
    rejected: Vec<Rejected>,
    queued: u32,
    running: u32,
    done: u32,
    error: u32,
    /// Of those that are DONE.
    #[schema(required, minimum = 0, maximum = 100)]
    mean_score: Option<f64>,
    first_failures: Vec<Failure>,
    rubric: String,
    #[schema(value_type = terms::Pool)]
    pool: Pool,
    #[schema(value_type = terms::Priority)]
    priority: Priority,
    created_at: Timestamp,
    #[schema(required)]
    started_at: Option<Timestamp>,
    #[schema(required)]
    completed_at: Option<Timestamp>,
}

/// A member that ended without a score.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = BatchFailure)]
struct Failure {
    #[serde(rename = "job_id")]
    #[schema(value_type = Uuid)]
    job_id: JobId,
    #[schema(value_type = Uuid)]
    submission_id: SubmissionId,
    #[schema(value_type = terms::ErrorCode)]
    code: String,
    message: String,
}

impl From<BatchDetail> for Batch {
    fn from(BatchDetail { batch, counts }: BatchDetail) -> Self {
        let failures = counts.failures.into_iter().map(|failure| Failure {
            job_id: failure.job,
            submission_id: failure.submission_id,
            code: failure.code,
            message: failure.message,
        });
        Batch {
            batch_id: batch.id,
            total: batch.total,
            accepted: batch.accepted(),
            rejected: batch.rejected.into_iter().map(Rejected::from).collect(),
            queued: counts.queued,
            running: counts.running,
            done: counts.done,
            error: counts.error,
            mean_score: counts.mean_score,
            first_failures: failures.collect(),
            rubric: batch.knobs.rubric,
            pool: batch.knobs.pool,
            priority: batch.knobs.priority,
            created_at: batch.created_at,
            started_at: counts.started_at,
            completed_at: counts.completed_at,
        }
    }
}

/// Shows a batch and how its members stand: 304 when the client has this state of it.
#[utoipa::path(
    get, path = "/api/scoring/batches/{id}", tag = "scoring", operation_id = "showBatch",
    params(("id" = Uuid, Path, description = "The batch's."), ("If-None-Match" = Option<String>, Header)),
    responses((status = 200, description = "The batch.", body = Batch)),
    extensions(("x-problems" = json!([Code::UnknownBatch]))),
)]
pub(crate) async fn show(
    State(app): State<SharedApp>,
    caller: Caller,
    Id(id): Id,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let store = app.store(&caller);
    if let Some(known) = Tags::if_none_match(&headers)
        && let Some(version) = repeat(|| store.batch_version(id)).await?
        && known.names(&EntityTag::of(version))
    {
        return Ok(EntityTag::of(version).not_modified());
    }
    let batch = repeat(|| store.batch(id)).await?.ok_or_else(no_such_batch)?;
    Ok(EntityTag::of(batch.version()).on(Json(Batch::from(batch))))
}

//! `POST /api/scoring/batches`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use domain::{BatchId, SubmissionId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Number;
use store::{BATCH_LIMIT, BatchOrigin, NewBatch, Refusal};
use utoipa::ToSchema;

use super::Rejected;
use crate::app::SharedApp;
use crate::caller::{Caller, Role};
use crate::extract;
use crate::idempotency::NewId;
use crate::knobs::Choices;
use crate::openapi::terms::{self, EXAMPLE_ID};
use crate::problem::{Code, Problem};
use crate::repeat::repeat;
use crate::traceparent::Traceparent;

/// A batch to be made: the choices are those of each of its jobs.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = NewBatch)]
pub(crate) struct Request {
    /// What is to be scored.
    #[schema(value_type = Vec<Uuid>, min_items = 1, max_items = 1000)]
    submission_ids: Vec<SubmissionId>,
    /// The rubric's name, of at most 253 bytes; its newest version is the one used.
    #[schema(min_length = 1, max_length = 253, default = "default")]
    rubric: Option<String>,
    #[schema(value_type = Option<terms::Pool>)]
    pool: Option<String>,
    #[schema(value_type = Option<terms::Priority>)]
    priority: Option<Number>,
    /// Attempts after the first.
    #[schema(value_type = Option<u32>, maximum = 20, default = 3)]
    retries: Option<Number>,
    /// How long to wait before the first retry; each later one waits twice as long.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 300, default = 2)]
    backoff_seconds: Option<Number>,
    /// Not started before this time, which lies in the years 1970 to 9999.
    not_before: Option<Timestamp>,
}

/// What became of a batch to be made.
#[derive(Serialize, ToSchema)]
#[schema(as = AcceptedBatch)]
struct Answer {
    #[schema(value_type = Uuid)]
    batch_id: BatchId,
    /// Submissions named.
    total: u32,
    /// Jobs made.
    accepted: u32,
    rejected: Vec<Rejected>,
}

/// Asks for many submissions to be scored alike, in one commit. Those that cannot be are named, and do not keep the
/// others out.
#[utoipa::path(
    post, path = "/api/scoring/batches", tag = "scoring", operation_id = "createBatch",
    request_body(content = Request, example = json!({"submissionIds": [EXAMPLE_ID], "rubric": "quick"})),
    responses((
        status = 202, description = "The batch is on record.", body = Answer,
        links(("show" = (operation_id = "showBatch", parameters(("id" = "$response.body#/batch_id"))))),
    )),
    extensions(("x-problems" = json!([
        Code::InvalidBatch, Code::UnknownRubric, Code::UnknownPool, Code::InvalidPriority,
        Code::InvalidRetries, Code::InvalidBackoff, Code::InvalidNotBefore,
    ]))),
)]
pub(crate) async fn create(
    State(app): State<SharedApp>,
    caller: Caller,
    NewId(id): NewId,
    Traceparent(traceparent): Traceparent,
    extract::Json(request): extract::Json<Request>,
) -> Result<Response, Problem> {
    let Request { submission_ids, rubric, pool, priority, retries, backoff_seconds, not_before } = request;
    if submission_ids.is_empty() || submission_ids.len() > BATCH_LIMIT {
        let detail =
            format!("submissionIds has {} of them: 1 to {BATCH_LIMIT} are possible.", submission_ids.len());
        return Err(Problem::new(Code::InvalidBatch, detail));
    }
    let knobs =
        Choices { rubric, pool, priority, retries, backoff_seconds, not_before }.into_knobs(&app.pools)?;
    let store = app.store(&caller);
    if repeat(|| store.current_rubric_version(&knobs.rubric)).await?.is_none() {
        return Err(Refusal::UnknownRubric.into());
    }
    let batch = NewBatch {
        id,
        // Whoever sees everything may have asked for another tenant's.
        tenant: (caller.role < Role::Admin).then(|| caller.tenant.clone()),
        owner: caller.owner().map(str::to_owned),
        submission_ids,
        knobs,
        origin: BatchOrigin::Api,
        traceparent,
        resource: None,
    };
    // Under the same id, a repetition finds out what was done.
    let accepted = repeat(|| store.accept_batch(&batch)).await?;
    app.recorded.notify_one();
    let answer = Answer {
        batch_id: id,
        total: accepted.total,
        accepted: accepted.accepted,
        rejected: accepted.rejected.into_iter().map(Rejected::from).collect(),
    };
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}

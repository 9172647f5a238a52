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

use super::Rejected;
use crate::app::SharedApp;
use crate::caller::{Caller, Role};
use crate::extract;
use crate::idempotency::NewId;
use crate::knobs::Choices;
use crate::problem::{Code, Problem};
use crate::repeat::repeat;
use crate::traceparent::Traceparent;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Request {
    submission_ids: Vec<SubmissionId>,
    rubric: Option<String>,
    pool: Option<String>,
    priority: Option<Number>,
    retries: Option<Number>,
    backoff_seconds: Option<Number>,
    not_before: Option<Timestamp>,
}

#[derive(Serialize)]
struct Answer {
    batch_id: BatchId,
    total: u32,
    accepted: u32,
    rejected: Vec<Rejected>,
}

/// Asks for many submissions to be scored alike, in one commit. Those that cannot be are named, and do not keep the
/// others out.
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

//! `POST /api/scoring`

use axum::extract::State;
use axum::response::Response;
use domain::SubmissionId;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Number;
use store::NewJob;

use super::Ticket;
use crate::app::SharedApp;
use crate::caller::Caller;
use crate::extract::Json;
use crate::idempotency::NewId;
use crate::knobs::Choices;
use crate::problem::Problem;
use crate::traceparent::Traceparent;

/// A misspelt choice that was silently ignored would be worse than a refusal.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Request {
    submission_id: SubmissionId,
    rubric: Option<String>,
    pool: Option<String>,
    priority: Option<Number>,
    retries: Option<Number>,
    backoff_seconds: Option<Number>,
    not_before: Option<Timestamp>,
}

/// Asks for a submission to be scored: 202 with the new job, or 200 with the one that is active.
pub(crate) async fn create(
    State(app): State<SharedApp>,
    caller: Caller,
    NewId(id): NewId,
    Traceparent(traceparent): Traceparent,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    let Request { submission_id, rubric, pool, priority, retries, backoff_seconds, not_before } = request;
    let knobs =
        Choices { rubric, pool, priority, retries, backoff_seconds, not_before }.into_knobs(&app.pools)?;
    let job = NewJob { id, submission_id, scope: caller.scope(), knobs, traceparent, resource: None };
    Ticket::answer(app.acceptor.accept(job).await?)
}

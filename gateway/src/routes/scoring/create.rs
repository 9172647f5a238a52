//! `POST /api/scoring`

use axum::extract::State;
use axum::response::Response;
use domain::SubmissionId;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Number;
use store::NewJob;
use utoipa::ToSchema;

use super::Ticket;
use crate::app::SharedApp;
use crate::caller::Caller;
use crate::extract::Json;
use crate::idempotency::NewId;
use crate::knobs::Choices;
use crate::openapi::terms::{self, EXAMPLE_ID};
use crate::problem::{Code, Problem};
use crate::traceparent::Traceparent;

/// A job to be made.
// A misspelt choice that was silently ignored would be worse than a refusal.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = NewJob)]
pub(crate) struct Request {
    /// What is to be scored. It must be SUBMITTED.
    #[schema(value_type = Uuid)]
    submission_id: SubmissionId,
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

/// Asks for a submission to be scored: 202 with the new job, or 200 with the one that is active.
#[utoipa::path(
    post, path = "/api/scoring", tag = "scoring", operation_id = "createJob",
    request_body(content = Request, example = json!({"submissionId": EXAMPLE_ID, "priority": 7})),
    responses(
        (
            status = 202, description = "A new job is on record.", body = Ticket,
            links(
                ("show" = (operation_id = "showJob", parameters(("id" = "$response.body#/job_id")))),
                ("cancel" = (operation_id = "cancelJob", parameters(("id" = "$response.body#/job_id")))),
                ("retry" = (operation_id = "retryJob", parameters(("id" = "$response.body#/job_id")))),
            ),
        ),
        (status = 200, description = "A job of the submission is active: this one.", body = Ticket),
    ),
    extensions(("x-problems" = json!([
        Code::QuotaExceeded,
        Code::UnknownSubmission, Code::NotSubmitted, Code::UnknownRubric, Code::UnknownPool,
        Code::InvalidPriority, Code::InvalidRetries, Code::InvalidBackoff, Code::InvalidNotBefore,
    ]))),
)]
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

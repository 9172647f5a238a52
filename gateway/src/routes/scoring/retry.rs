//! `POST /api/scoring/:id/retry`

use axum::extract::State;
use axum::response::Response;
use store::{Accepted, Retried, RetryRequest};

use super::{Ticket, no_such_job};
use crate::app::SharedApp;
use crate::caller::Caller;
use crate::extract::Id;
use crate::idempotency::NewId;
use crate::problem::{Code, Problem};
use crate::repeat::repeat;
use crate::traceparent::Traceparent;

/// Asks for a new job for the submission of one that has ended, with the same choices. While a job of the submission
/// is active, be it this one, that one is the answer.
#[utoipa::path(
    post, path = "/api/scoring/{id}/retry", tag = "scoring", operation_id = "retryJob",
    params(("id" = Uuid, Path, description = "The job's.")),
    responses(
        (
            status = 202, description = "A new job is on record.", body = Ticket,
            links(("cancel" = (operation_id = "cancelJob", parameters(("id" = "$response.body#/job_id"))))),
        ),
        (status = 200, description = "A job of the submission is active: this one.", body = Ticket),
    ),
    extensions(("x-problems" = json!([
        Code::QuotaExceeded,
        Code::UnknownJob, Code::UnknownSubmission, Code::NotSubmitted, Code::UnknownRubric
    ]))),
)]
pub(crate) async fn retry(
    State(app): State<SharedApp>,
    caller: Caller,
    NewId(new_id): NewId,
    Id(id): Id,
    Traceparent(traceparent): Traceparent,
) -> Result<Response, Problem> {
    let store = app.store(&caller);
    let request = RetryRequest { job: id, new_id, by: caller.name(), traceparent };
    match repeat(|| store.retry(&request)).await? {
        Retried::Answered(accepted) => {
            if matches!(accepted, Accepted::Created { .. }) {
                app.recorded.notify_one();
            }
            Ticket::answer(accepted)
        }
        Retried::StillActive { status } => Ticket::answer(Accepted::Existing { id, status }),
        Retried::NotFound => Err(no_such_job()),
    }
}

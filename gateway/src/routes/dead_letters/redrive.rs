//! `POST /api/dead-letters/:id/redrive`

use axum::extract::State;
use axum::response::Response;
use domain::JobStatus;
use store::{Accepted, Redrive, RedriveOrder, Redriven, Refusal, Skip};

use super::no_such_dead_letter;
use crate::app::SharedApp;
use crate::caller::Caller;
use crate::extract::Id;
use crate::idempotency::NewId;
use crate::problem::{Code, Problem};
use crate::repeat::repeat;
use crate::routes::scoring::Ticket;
use crate::traceparent::Traceparent;

/// Redrives one dead letter: 202 with the new job, or 200 with the one that makes it needless.
#[utoipa::path(
    post, path = "/api/dead-letters/{id}/redrive", tag = "dead letters", operation_id = "redrive",
    params(("id" = Uuid, Path, description = "The id of the job that ended without a score.")),
    responses(
        (
            status = 202, description = "A new job is on record.", body = Ticket,
            links(("show" = (operation_id = "showJob", parameters(("id" = "$response.body#/job_id"))))),
        ),
        (
            status = 200, body = Ticket,
            description = "There is nothing to do: it was redriven as this job, which may have ended; or this job of \
                           the submission is active, or has scored it since.",
        ),
    ),
    extensions(("x-problems" = json!([
        Code::QuotaExceeded,
        Code::UnknownDeadLetter, Code::UnknownJob, Code::UnknownSubmission, Code::NotFailed, Code::UnknownRubric
    ]))),
)]
pub(crate) async fn redrive(
    State(app): State<SharedApp>,
    caller: Caller,
    NewId(new_id): NewId,
    Id(id): Id,
    Traceparent(traceparent): Traceparent,
) -> Result<Response, Problem> {
    let store = app.store(&caller);
    let redrives = [Redrive { job: id, new_id }];
    // Whoever names a job that a person cancelled means it.
    let order = RedriveOrder { traceparent, cancelled_too: true, ..RedriveOrder::by(caller.name()) };
    let answer = repeat(|| store.redrive(&redrives, &order)).await?.pop();
    let existing = |id, status| Ticket::answer(Accepted::Existing { id, status });
    match answer.unwrap_or(Redriven::NotFound) {
        Redriven::Made { id, .. } => {
            app.recorded.notify_one();
            Ticket::answer(Accepted::Created { id })
        }
        Redriven::Skipped(Skip::Redriven { job, status: Some(status) } | Skip::Active { job, status }) => {
            existing(job, status)
        }
        Redriven::Skipped(Skip::Scored { job }) => existing(job, JobStatus::Done),
        Redriven::Skipped(Skip::Redriven { job, status: None }) => {
            let detail = format!("It was redriven as {job}, which is no longer on record.");
            Err(Problem::new(Code::UnknownJob, detail))
        }
        Redriven::Skipped(Skip::OverQuota { allowed }) => Err(Refusal::OverQuota { allowed }.into()),
        Redriven::Skipped(Skip::UnknownRubric) => Err(Refusal::UnknownRubric.into()),
        Redriven::Skipped(Skip::UnknownSubmission) => Err(Refusal::UnknownSubmission.into()),
        Redriven::NotFailed { status } => {
            let detail = format!("Only a job that ended without a score can be redriven: it is {status}.");
            Err(Problem::new(Code::NotFailed, detail))
        }
        Redriven::NotFound => Err(no_such_dead_letter()),
        // Those that were cancelled are meant here.
        Redriven::Unsettled | Redriven::Skipped(Skip::Cancelled) => Err(Problem::unavailable()),
    }
}

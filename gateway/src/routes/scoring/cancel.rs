//! `DELETE /api/scoring/:id`

use axum::Json;
use axum::extract::State;
use domain::JobStatus;
use store::{CancelRequest, Cancelled};

use super::no_such_job;
use super::show::Detail;
use crate::app::SharedApp;
use crate::caller::Caller;
use crate::extract::Id;
use crate::problem::{Code, Problem};
use crate::repeat::repeat;

/// Cancels a job. One that was cancelled before is answered the same, so that a lost answer can be asked for again.
pub(crate) async fn cancel(
    State(app): State<SharedApp>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Detail>, Problem> {
    let store = app.store(&caller);
    let reason = "a client asked for it".to_owned();
    let requests = [CancelRequest { job: id, by: caller.name(), reason }];
    match repeat(|| store.cancel(&requests)).await?.pop() {
        Some(Cancelled::Cancelled { .. } | Cancelled::AlreadyCancelled { .. }) => {
            let detail = repeat(|| store.job(id)).await?.ok_or_else(no_such_job)?;
            Ok(Json(detail.into()))
        }
        Some(Cancelled::AlreadyEnded { status }) => Err(has_ended(status)),
        // It may be in the history.
        Some(Cancelled::NotFound) | None => {
            let detail = repeat(|| store.job(id)).await?.ok_or_else(no_such_job)?;
            Err(has_ended(detail.job.status))
        }
    }
}

fn has_ended(status: JobStatus) -> Problem {
    Problem::new(Code::JobEnded, format!("The job has ended: it is {status}."))
}

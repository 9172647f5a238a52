//! `DELETE /api/scoring/:id`

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use domain::JobStatus;
use store::{CancelRequest, Cancelled};

use super::no_such_job;
use super::show::Detail;
use crate::app::SharedApp;
use crate::caller::Caller;
use crate::conditions::{EntityTag, Tags};
use crate::extract::Id;
use crate::problem::{Code, Problem};
use crate::repeat::repeat;

/// A version that no job is in.
const NONE: i64 = 0;

/// Cancels a job. One that was cancelled before is answered the same, so that a lost answer can be asked for again.
/// With `If-Match`, only if it is still in the state that is named.
#[utoipa::path(
    delete, path = "/api/scoring/{id}", tag = "scoring", operation_id = "cancelJob",
    params(("id" = Uuid, Path, description = "The job's."), ("If-Match" = Option<String>, Header)),
    responses((
        status = 200, description = "The job, which is cancelled.", body = Detail,
        headers(("ETag" = String, description = "Names this state of it.")),
        links(
            ("show" = (operation_id = "showDeadLetter", parameters(("id" = "$response.body#/job_id")))),
            ("redrive" = (operation_id = "redrive", parameters(("id" = "$response.body#/job_id")))),
            ("retry" = (operation_id = "retryJob", parameters(("id" = "$response.body#/job_id")))),
        ),
    )),
    extensions(("x-problems" = json!([Code::UnknownJob, Code::JobEnded]))),
)]
pub(crate) async fn cancel(
    State(app): State<SharedApp>,
    caller: Caller,
    Id(id): Id,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let store = app.store(&caller);
    let reason = "a client asked for it".to_owned();
    let request = CancelRequest { job: id, by: caller.name(), reason };
    let cancelled = match Tags::if_match(&headers) {
        None => repeat(|| store.cancel(std::slice::from_ref(&request))).await?.pop(),
        Some(tags) => {
            let version = repeat(|| store.job_version(id)).await?;
            let named = version.filter(|version| tags.names(&EntityTag::of(*version)));
            let version = named.map_or(NONE, |version| version.number);
            Some(repeat(|| store.cancel_if(&request, version)).await?)
        }
    };
    match cancelled {
        Some(Cancelled::Cancelled { pool } | Cancelled::AlreadyCancelled { pool }) => {
            app.hub.changed_here(&pool, id);
            let detail = repeat(|| store.job(id)).await?.ok_or_else(no_such_job)?;
            Ok(EntityTag::of(detail.version()).on(Json(Detail::from(detail))))
        }
        Some(Cancelled::Changed) => Err(Problem::changed()),
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

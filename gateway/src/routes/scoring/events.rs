//! `GET /api/scoring/:id/events`

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use store::JobDetail;

use super::no_such_job;
use super::show::Detail;
use crate::app::SharedApp;
use crate::caller::Caller;
use crate::events::{Event, stream};
use crate::extract::Id;
use crate::openapi::terms;
use crate::problem::{Code, Problem};
use crate::repeat::repeat;

/// Streams the states of a job as they come, and ends with the last.
#[utoipa::path(
    get, path = "/api/scoring/{id}/events", tag = "scoring", operation_id = "streamJob",
    params(("id" = Uuid, Path, description = "The job's."), ("Last-Event-ID" = Option<String>, Header)),
    responses((
        status = 200, content_type = "text/event-stream", body = terms::JobEvent,
        description = "Events of the type `job`, each with what `GET /api/scoring/{id}` answers as its data.",
    )),
    extensions(("x-problems" = json!([Code::UnknownJob, Code::TooManyStreams]))),
)]
pub(crate) async fn events(
    State(app): State<SharedApp>,
    caller: Caller,
    Id(id): Id,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let store = app.store(&caller);
    let held = app.overload.stream(&caller)?;
    let watch = app.hub.watch_job(id, &caller)?;
    let job = repeat(|| store.job(id)).await?.ok_or_else(no_such_job)?;
    let job = watch.has_read(job);
    let event =
        Event { name: "job", json: |job: &JobDetail| serde_json::to_string(&Detail::from(job.clone())) };
    Ok(stream(watch, job, event, &headers, app.shutdown.clone(), held))
}

//! `GET /api/scoring/:id`

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use store::{JobDetail, Version};
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use super::job::Job;
use super::no_such_job;
use crate::app::SharedApp;
use crate::caller::Caller;
use crate::conditions::{EntityTag, Tags};
use crate::extract::Id;
use crate::openapi::terms;
use crate::overload::Place;
use crate::prefer::Wait;
use crate::problem::{Code, Problem};
use crate::repeat::repeat;

/// A job with the results of the single criteria.
#[derive(Serialize, ToSchema)]
#[schema(as = JobDetail)]
pub(crate) struct Detail {
    #[serde(flatten)]
    job: Job,
    #[schema(required, value_type = Option<terms::ScoringResult>)]
    result: Option<serde_json::Value>,
}

impl From<JobDetail> for Detail {
    fn from(JobDetail { job, result }: JobDetail) -> Self {
        Detail { job: job.into(), result }
    }
}

/// Shows a job: 304 when the client has this state of it. With `Prefer: wait`, once it has ended, or once it is in
/// another state than the client has.
#[utoipa::path(
    get, path = "/api/scoring/{id}", tag = "scoring", operation_id = "showJob",
    params(
        ("id" = Uuid, Path, description = "The job's."),
        ("If-None-Match" = Option<String>, Header),
        ("Prefer" = Option<String>, Header),
    ),
    responses((status = 200, description = "The job.", body = Detail)),
    extensions(("x-problems" = json!([Code::UnknownJob]))),
)]
pub(crate) async fn show(
    State(app): State<SharedApp>,
    caller: Caller,
    Id(id): Id,
    place: Option<Extension<Place>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let store = app.store(&caller);
    let known = Tags::if_none_match(&headers);
    let is_known = |version| known.as_ref().is_some_and(|known| known.names(&EntityTag::of(version)));
    if let Some(wait) = Wait::preferred(&headers) {
        let answered = |version: Version| version.ended || (known.is_some() && !is_known(version));
        let job = wait_for(&app, &caller, id, wait, place, answered).await?;
        return Ok(wait.applied_to(answer(job, is_known)));
    }
    if known.is_some()
        && let Some(version) = repeat(|| store.job_version(id)).await?
        && is_known(version)
    {
        return Ok(EntityTag::of(version).not_modified());
    }
    let job = repeat(|| store.job(id)).await?.ok_or_else(no_such_job)?;
    Ok(answer(job, is_known))
}

fn answer(job: JobDetail, is_known: impl Fn(Version) -> bool) -> Response {
    let version = job.version();
    let tag = EntityTag::of(version);
    if is_known(version) { tag.not_modified() } else { tag.on(Json(Detail::from(job)).into_response()) }
}

/// Reads a job until its state is one that can be answered, or the time is up, or the gateway is to stop.
async fn wait_for(
    app: &SharedApp,
    caller: &Caller,
    id: uuid::Uuid,
    wait: Wait,
    place: Option<Extension<Place>>,
    answered: impl Fn(Version) -> bool,
) -> Result<JobDetail, Problem> {
    let deadline = Instant::now() + wait.duration();
    let store = app.store(caller);
    let mut watch = app.hub.watch_job(id, caller)?;
    let job = repeat(|| store.job(id)).await?.ok_or_else(no_such_job)?;
    let mut job = watch.has_read(job);
    // From here on it only waits, and may be one of many.
    if let Some(Extension(place)) = place {
        place.leave();
    }
    while !answered(job.version()) {
        let other = timeout_at(deadline, watch.other_than(job.version()));
        match app.shutdown.unless_requested(other).await {
            Some(Ok(other)) => job = other,
            Some(Err(_)) | None => break,
        }
    }
    Ok(JobDetail::clone(&job))
}

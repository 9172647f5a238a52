//! `GET /api/scoring/batches/:id/events`

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use store::BatchDetail;

use super::no_such_batch;
use super::show::Batch;
use crate::app::SharedApp;
use crate::caller::Caller;
use crate::events::{Event, stream};
use crate::extract::Id;
use crate::openapi::terms;
use crate::problem::{Code, Problem};
use crate::repeat::repeat;

/// Streams how a batch stands whenever that is another, ten times a second at most, and ends when all members have ended.
#[utoipa::path(
    get, path = "/api/scoring/batches/{id}/events", tag = "scoring", operation_id = "streamBatch",
    params(("id" = Uuid, Path, description = "The batch's."), ("Last-Event-ID" = Option<String>, Header)),
    responses((
        status = 200, content_type = "text/event-stream", body = terms::BatchEvent,
        description = "Events of the type `batch`, each with what `GET /api/scoring/batches/{id}` answers as its data.",
    )),
    extensions(("x-problems" = json!([Code::UnknownBatch, Code::TooManyStreams]))),
)]
pub(crate) async fn events(
    State(app): State<SharedApp>,
    caller: Caller,
    Id(id): Id,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let store = app.store(&caller);
    let held = app.overload.stream(&caller)?;
    let watch = app.hub.watch_batch(id, &caller)?;
    let batch = repeat(|| store.batch(id)).await?.ok_or_else(no_such_batch)?;
    let batch = watch.has_read(batch);
    let json = |batch: &BatchDetail| serde_json::to_string(&Batch::from(batch.clone()));
    Ok(stream(watch, batch, Event { name: "batch", json }, &headers, app.shutdown.clone(), held))
}

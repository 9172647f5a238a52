//! `GET /api/pools/events`

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use tokio::time::sleep;

use super::watch;
use crate::app::SharedApp;
use crate::caller::Caller;
use crate::events::LONGEST;
use crate::openapi::terms;
use crate::problem::{Code, Problem};

/// When a client shall come back whose stream ended.
const RETRY: Duration = Duration::from_secs(1);

/// Shows how the pools stand, once a second. Each event is the whole of it, so a client that was away for a while has
/// missed nothing.
#[utoipa::path(
    get, path = "/api/pools/events", tag = "pools", operation_id = "streamPools",
    responses((
        status = 200, content_type = "text/event-stream", body = terms::PoolsEvent,
        description = "Events of the type `pools`, each with what `GET /api/pools` answers as its data.",
    )),
    extensions(("x-problems" = json!([Code::Forbidden, Code::TooManyStreams]))),
)]
pub(crate) async fn events(State(app): State<SharedApp>, caller: Caller) -> Result<Response, Problem> {
    let held = app.overload.stream(&caller)?;
    let watching = watch(&app, &caller)?;
    let snapshots = stream::unfold((watching, held), async |(mut watching, held)| {
        let snapshot = watching.next().await?;
        let event =
            Event::default().event("pools").id(snapshot.id()).retry(RETRY).json_data(snapshot).ok()?;
        Some((Ok::<_, Infallible>(event), (watching, held)))
    });
    let snapshots = snapshots.take_until(sleep(LONGEST));
    let mut response = Sse::new(snapshots).keep_alive(KeepAlive::default()).into_response();
    // Proxies that collect answers would hold events back.
    let unbuffered = HeaderName::from_static("x-accel-buffering");
    response.headers_mut().insert(unbuffered, HeaderValue::from_static("no"));
    Ok(response)
}

//! Server-sent events: each state of a job or a batch as it comes, until the last.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::unfold;
use runtime::Shutdown;
use store::Version;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::Watch;
use super::hub::Versioned;
use crate::conditions::EntityTag;
use crate::shares::Share;

/// How often something is said when nothing happens, so that what lies in between keeps the connection.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// A stream ends after this, and clients come again with `Last-Event-ID`: who may not see it any more then does not.
pub(crate) const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Within what time clients of a stream that was ended come again, each in its own moment.
const AGAIN_WITHIN_MS: u128 = 3_000;

/// What an event is called, and what it says.
pub(crate) struct Event<T> {
    /// Its type.
    pub(crate) name: &'static str,
    /// The JSON of a state.
    pub(crate) json: fn(&T) -> Result<String, serde_json::Error>,
}

struct Streaming<T: Versioned> {
    watch: Watch<T>,
    event: Event<T>,
    first: Option<Arc<T>>,
    known: Version,
    ended: bool,
    stop: Shutdown,
    until: Instant,
    again_after: Duration,
    _held: Share,
}

/// Streams the states from this one on. A client that says it has seen this one, in `Last-Event-ID`, is not sent it again.
pub(crate) fn stream<T: Versioned + Send + Sync + 'static>(
    watch: Watch<T>,
    state: Arc<T>,
    event: Event<T>,
    headers: &HeaderMap,
    stop: Shutdown,
    held: Share,
) -> Response {
    let known = state.version();
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let seen = last == Some(EntityTag::of(known).as_str());
    if seen && known.ended {
        // Tells an EventSource not to come again.
        return StatusCode::NO_CONTENT.into_response();
    }
    // An id is as good a die as any.
    let again_after = Uuid::new_v4().as_u128() % AGAIN_WITHIN_MS;
    let streaming = Streaming {
        watch,
        event,
        first: (!seen).then_some(state),
        known,
        ended: false,
        stop,
        until: Instant::now() + LONGEST,
        again_after: Duration::from_millis(u64::try_from(again_after).unwrap_or(0)),
        _held: held,
    };
    let events = unfold(streaming, |mut streaming| async {
        let event = streaming.next().await?;
        Some((Ok::<_, Infallible>(event), streaming))
    });
    let headers = [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform")),
        // To nginx: hand it on as it comes.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT).text("still here")))
        .into_response()
}

impl<T: Versioned> Streaming<T> {
    async fn next(&mut self) -> Option<sse::Event> {
        if self.ended {
            return None;
        }
        let state = match self.first.take() {
            Some(first) => first,
            None => tokio::select! {
                biased;
                () = self.stop.requested() => return Some(self.goodbye()),
                () = sleep_until(self.until) => return Some(self.goodbye()),
                state = self.watch.other_than(self.known) => state,
            },
        };
        self.known = state.version();
        self.ended = self.known.ended;
        let event = sse::Event::default().event(self.event.name).id(EntityTag::of(self.known).as_str());
        // Whatever can be shown can be written down.
        Some(event.data((self.event.json)(&state).unwrap_or_default()))
    }

    /// The client is to come again, to this gateway or another.
    fn goodbye(&mut self) -> sse::Event {
        self.ended = true;
        sse::Event::default().retry(self.again_after)
    }
}

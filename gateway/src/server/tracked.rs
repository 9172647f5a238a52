//! A request from its head to the last byte of its answer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Error;
use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::time::Instant;

use super::activity::Activity;

/// A request of a connection, for as long as this lives.
pub(super) struct Tracked {
    activity: Arc<Activity>,
    number: u64,
}

impl Tracked {
    pub(super) fn new(activity: Arc<Activity>) -> Tracked {
        let number = activity.begin_request(Instant::now());
        Tracked { activity, number }
    }

    fn moves(&self) {
        self.activity.progress(self.number, Instant::now());
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.activity.end_request(self.number, Instant::now());
    }
}

/// The body of an answer. The request lasts until it is sent, or given up.
pub(super) struct TrackedBody {
    body: Body,
    request: Tracked,
}

impl TrackedBody {
    pub(super) fn new(body: Body, request: Tracked) -> TrackedBody {
        request.moves();
        TrackedBody { body, request }
    }
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_ready() {
            self.request.moves();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

//! Sending clients elsewhere before the door closes.

use axum::http::{HeaderValue, header};
use axum::response::Response;
use runtime::Shutdown;

/// From the signal to stop on, every answer ends its connection: a client that keeps connections open would otherwise
/// send its next request into one that is just being closed, and could not know whether it arrived.
pub(crate) fn leave_when_stopping(shutdown: &Shutdown, mut response: Response) -> Response {
    if shutdown.is_requested() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

//! The W3C trace context of a request, handed on along the job's way.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use runtime::trace::TraceContext;

/// What is handed on with what a request makes: the span of the request where traces are exported, or else the context
/// that its client gave. When there is neither, a trace begins here, which nobody exports: it joins rows and log lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Traceparent(pub(crate) Option<String>);

impl<S: Sync> FromRequestParts<S> for Traceparent {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let span = parts.extensions.get::<TraceContext>().copied();
        let context = span.or_else(|| given(&parts.headers)).unwrap_or_else(TraceContext::unsampled);
        Ok(Traceparent(Some(context.to_string())))
    }
}

/// The trace context that a client gave. One that is not valid counts as none, as its standard asks.
pub(crate) fn given(headers: &HeaderMap) -> Option<TraceContext> {
    TraceContext::read(headers.get("traceparent")?.to_str().ok())
}

/// The trace id in a trace context.
pub(crate) fn trace_id(traceparent: &str) -> Option<&str> {
    traceparent.split('-').nth(1)
}

//! What is measured, traced and logged of every request.

use axum::extract::{MatchedPath, Request};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use runtime::trace::{self, Span, SpanKind, TraceContext};
use tokio::time::Instant;
use tracing::error;

use crate::app::App;
use crate::openapi;
use crate::prefer::APPLIED;
use crate::traceparent::given;

/// Stands before everything that answers a request, so that all answers are seen.
pub(crate) async fn observe<F: Future<Output = Response>>(
    app: &App,
    mut request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let route = openapi::templates().find(|template| matched == Some(template)).unwrap_or("other");
    let parent = given(request.headers());
    let mut span = Span::default();
    if trace::is_on() {
        span = begin(&method, route, parent);
        if let Some(context) = span.context() {
            request.extensions_mut().insert(context);
        }
    }
    let response = next(request).await;
    let status = response.status();
    // How long a client has waited because it wished to says nothing of the gateway.
    let waited = response.headers().contains_key(APPLIED);
    app.metrics.answered(&method, route, status, (!waited).then(|| begun.elapsed()));
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        let of = span.context().or(parent);
        let trace_id = of.map(|of| tracing::field::display(of.trace_id()));
        let span_id = of.map(|of| tracing::field::display(of.span_id()));
        error!(%method, route, trace_id, span_id, "a request was answered 500");
    }
    if trace::is_on() {
        end(&mut span, status);
    }
    response
}

fn begin(method: &Method, route: &'static str, parent: Option<TraceContext>) -> Span {
    let mut span = Span::begin(format!("{method} {route}"), SpanKind::Server, parent);
    span.set("http.request.method", method.to_string());
    span.set("http.route", route);
    span
}

fn end(span: &mut Span, status: StatusCode) {
    span.set("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.fail(status.canonical_reason().unwrap_or_default());
    }
}

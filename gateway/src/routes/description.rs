//! `/openapi.json` and `/docs`: the description of the API, for programs and for people.

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

use crate::openapi;

const PAGE: &str = include_str!("../docs/index.html");
const SCRIPT: &str = include_str!("../docs/docs.js");
const STYLE: &str = include_str!("../docs/docs.css");

/// The routes, which anybody may ask.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/openapi.json", get(async || file("application/json", openapi::text())))
        .route("/docs", get(async || file("text/html; charset=utf-8", PAGE)))
        .route("/docs/docs.js", get(async || file("text/javascript; charset=utf-8", SCRIPT)))
        .route("/docs/docs.css", get(async || file("text/css; charset=utf-8", STYLE)))
}

/// What the browser may load for the page, and what the page may do: nothing but what is served here. No text becomes
/// HTML or a script, even by mistake.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// A text that is part of the program. It is another with the next version, so nobody keeps it unasked.
fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    ];
    (headers, text)
}

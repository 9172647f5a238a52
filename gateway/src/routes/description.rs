//! `/openapi.json` and `/docs`: the description of the API, for programs and for people.

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

use crate::openapi;

/// The routes, which anybody may ask.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/openapi.json", get(json))
}

/// `GET /openapi.json`
async fn json() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], openapi::text())
}

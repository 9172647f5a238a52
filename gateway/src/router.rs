//! Every route.

use std::any::Any;

use axum::Router;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::error;

use crate::app::SharedApp;
use crate::authentication::authenticate;
use crate::idempotency::once;
use crate::observe::observe;
use crate::problem::{Code, Problem};
use crate::routes::{caller, dead_letters, pools, scoring, submissions};
use crate::ui;

use crate::{compression, overload, rate_limit, request_limits};

const SUBMISSIONS: &str = "/api/submissions";
const SUBMISSION: &str = "/api/submissions/{id}";
const SUBMISSION_CONTENT: &str = "/api/submissions/{id}/content";
const SUBMIT: &str = "/api/submissions/{id}/submit";
const JOBS: &str = "/api/scoring";
const JOB: &str = "/api/scoring/{id}";
const ATTEMPTS: &str = "/api/scoring/{id}/attempts";
const JOB_EVENTS: &str = "/api/scoring/{id}/events";
const RETRY: &str = "/api/scoring/{id}/retry";
const BATCHES: &str = "/api/scoring/batches";
const BATCH: &str = "/api/scoring/batches/{id}";
const BATCH_EVENTS: &str = "/api/scoring/batches/{id}/events";
const DEAD_LETTERS: &str = "/api/dead-letters";
const DEAD_LETTER: &str = "/api/dead-letters/{id}";
const REDRIVE: &str = "/api/dead-letters/{id}/redrive";
const REDRIVE_MANY: &str = "/api/dead-letters/redrive";
const POOLS: &str = "/api/pools";
const POOL_EVENTS: &str = "/api/pools/events";
const CALLER: &str = "/api/caller";

/// Those that are shown as labels.
pub const TEMPLATES: [&str; 19] = [
    JOBS,
    JOB,
    ATTEMPTS,
    JOB_EVENTS,
    RETRY,
    BATCHES,
    BATCH,
    BATCH_EVENTS,
    SUBMISSIONS,
    SUBMISSION,
    SUBMISSION_CONTENT,
    SUBMIT,
    DEAD_LETTERS,
    DEAD_LETTER,
    REDRIVE,
    REDRIVE_MANY,
    POOLS,
    POOL_EVENTS,
    CALLER,
];

/// The API.
pub(crate) fn router(app: SharedApp) -> Router {
    Router::new()
        .route(SUBMISSIONS, post(submissions::create).get(submissions::list))
        .route(SUBMISSION, get(submissions::show))
        .route(SUBMISSION_CONTENT, put(submissions::replace_content))
        .route(SUBMIT, post(submissions::submit))
        .route(JOBS, post(scoring::create).get(scoring::list))
        .route(JOB, get(scoring::show).delete(scoring::cancel))
        .route(ATTEMPTS, get(scoring::attempts))
        .route(JOB_EVENTS, get(scoring::events))
        .route(RETRY, post(scoring::retry))
        .route(BATCHES, post(scoring::batches::create))
        .route(BATCH, get(scoring::batches::show))
        .route(BATCH_EVENTS, get(scoring::batches::events))
        .route(DEAD_LETTERS, get(dead_letters::list))
        .route(DEAD_LETTER, get(dead_letters::show))
        .route(REDRIVE, post(dead_letters::redrive))
        .route(REDRIVE_MANY, post(dead_letters::redrive_many))
        .route(POOLS, get(pools::show))
        .route(POOL_EVENTS, get(pools::events))
        .route(CALLER, get(caller::show))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(app.clone(), once))
        .layer(middleware::from_fn_with_state(app.clone(), rate_limit::by_subject))
        .layer(middleware::from_fn_with_state(app.clone(), authenticate))
        .merge(ui::router().method_not_allowed_fallback(wrong_method))
        .layer(middleware::from_fn_with_state(app.clone(), rate_limit::by_address))
        .layer(middleware::from_fn(request_limits::hold))
        .layer(middleware::from_fn_with_state(app.clone(), overload::limit))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(compression::layer())
        .layer(middleware::map_response(compression::weaken_tag))
        .layer(middleware::from_fn_with_state(app.clone(), observe))
        .with_state(app)
}

async fn unknown_route() -> Problem {
    Problem::new(Code::UnknownRoute, "There is nothing at this path.")
}

async fn wrong_method() -> Problem {
    Problem::new(Code::MethodNotAllowed, "This path has other methods; the header Allow lists them.")
}

fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let message =
        panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    error!(message, "a request met a panic");
    Problem::internal().into_response()
}

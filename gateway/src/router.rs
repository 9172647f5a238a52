//! Every route.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use tracing::error;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::SharedApp;
use crate::authentication::authenticate;
use crate::idempotency::once;
use crate::observe::observe;
use crate::openapi;
use crate::problem::{Code, Problem};
use crate::routes::{caller, dead_letters, description, pools, scoring, submissions};
use crate::{compression, overload, rate_limit, request_limits, ui};

/// Every route, described.
fn routes() -> OpenApiRouter<SharedApp> {
    OpenApiRouter::with_openapi(openapi::frame())
        .routes(routes!(submissions::create, submissions::list))
        .routes(routes!(submissions::show))
        .routes(routes!(submissions::replace_content))
        .routes(routes!(submissions::submit))
        .routes(routes!(scoring::create, scoring::list))
        .routes(routes!(scoring::show, scoring::cancel))
        .routes(routes!(scoring::attempts))
        .routes(routes!(scoring::events))
        .routes(routes!(scoring::retry))
        .routes(routes!(scoring::batches::create))
        .routes(routes!(scoring::batches::show))
        .routes(routes!(scoring::batches::events))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::show))
        .routes(routes!(dead_letters::redrive))
        .routes(routes!(dead_letters::redrive_many))
        .routes(routes!(pools::show))
        .routes(routes!(pools::events))
        .routes(routes!(caller::show))
}

/// The API.
pub(crate) fn router(app: SharedApp) -> Router {
    let (described, _) = routes().split_for_parts();
    described
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(app.clone(), admit))
        .merge(description::routes().method_not_allowed_fallback(wrong_method))
        .merge(ui::router().method_not_allowed_fallback(wrong_method))
        .layer(compression::layer())
        .layer(middleware::from_fn_with_state(app.clone(), enter))
        .with_state(app)
}

// Each layer of the framework's copies all that are within for each request. So there are few, and each is a walk.

/// What every request passes, from the outside in.
async fn enter(State(app): State<SharedApp>, request: Request, next: Next) -> Response {
    let app = &*app;
    let request = rate_limit::identify(app, request);
    observe(app, request, move |request| {
        survive(request, move |request| {
            overload::limit(app, request, move |request| {
                request_limits::hold(request, move |request| {
                    rate_limit::by_address(app, request, async |request| {
                        compression::weaken_tag(next.run(request).await)
                    })
                })
            })
        })
    })
    .await
}

/// What requests pass besides that are not for anybody.
async fn admit(State(app): State<SharedApp>, request: Request, next: Next) -> Response {
    let it = &*app;
    authenticate(it, request, |request| {
        rate_limit::by_subject(it, request, |request| once(app.clone(), request, next))
    })
    .await
}

/// A panic ends the request that met it, and nothing else.
async fn survive<F: Future<Output = Response>>(
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    match AssertUnwindSafe(async { next(request).await }).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => panicked(panic.as_ref()),
    }
}

/// What there is to say of the routes, each by itself.
pub(crate) fn describe() -> OpenApi {
    routes().into_openapi()
}

async fn unknown_route() -> Problem {
    Problem::new(Code::UnknownRoute, "There is nothing at this path.")
}

async fn wrong_method() -> Problem {
    Problem::new(Code::MethodNotAllowed, "This path has other methods; the header Allow lists them.")
}

fn panicked(panic: &(dyn Any + Send)) -> Response {
    let message =
        panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    error!(message, "a request met a panic");
    Problem::internal().into_response()
}

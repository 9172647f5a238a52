//! `GET /api/pools`

use axum::Json;
use axum::extract::State;

use super::watch;
use crate::app::SharedApp;
use crate::caller::Caller;
use crate::pools::Snapshot;
use crate::problem::{Code, Problem};

/// Shows how the pools stand: what waits, what runs, and what came in and went out lately.
#[utoipa::path(
    get, path = "/api/pools", tag = "pools", operation_id = "showPools",
    responses((status = 200, description = "How the pools stand.", body = Snapshot)),
    extensions(("x-problems" = json!([Code::Forbidden, Code::TooManyStreams]))),
)]
pub(crate) async fn show(State(app): State<SharedApp>, caller: Caller) -> Result<Json<Snapshot>, Problem> {
    let mut watching = watch(&app, &caller)?;
    watching.next().await.map(Json).ok_or_else(Problem::unavailable)
}

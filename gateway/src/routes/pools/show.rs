//! `GET /api/pools`

use axum::Json;
use axum::extract::State;

use super::watch;
use crate::app::SharedApp;
use crate::caller::Caller;
use crate::pools::Snapshot;
use crate::problem::Problem;

/// Shows how the pools stand: what waits, what runs, and what came in and went out lately.
pub(crate) async fn show(State(app): State<SharedApp>, caller: Caller) -> Result<Json<Snapshot>, Problem> {
    let mut watching = watch(&app, &caller)?;
    watching.next().await.map(Json).ok_or_else(Problem::unavailable)
}

//! `GET /api/caller`

use axum::Json;
use serde::Serialize;

use crate::caller::Caller;

/// Whom the gateway takes the caller for.
#[derive(Serialize)]
pub(crate) struct Known {
    tenant: String,
    subject: String,
    /// `learner`, `instructor` or `admin`.
    role: &'static str,
}

/// Says whom the gateway takes the caller for, so that a page offers what they may do.
pub(crate) async fn show(Caller { tenant, subject, role }: Caller) -> Json<Known> {
    Json(Known { tenant, subject, role: role.as_str() })
}

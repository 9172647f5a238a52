//! `GET /api/caller`

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::openapi::terms;

/// Whom the gateway takes the caller for.
#[derive(Serialize, ToSchema)]
#[schema(as = KnownCaller)]
pub(crate) struct Known {
    tenant: String,
    subject: String,
    /// `learner`, `instructor` or `admin`.
    #[schema(value_type = terms::Role)]
    role: &'static str,
}

/// Says whom the gateway takes the caller for, so that a page offers what they may do.
#[utoipa::path(
    get, path = "/api/caller", tag = "caller", operation_id = "showCaller",
    responses((status = 200, description = "The caller.", body = Known)),
)]
pub(crate) async fn show(Caller { tenant, subject, role }: Caller) -> Json<Known> {
    Json(Known { tenant, subject, role: role.as_str() })
}

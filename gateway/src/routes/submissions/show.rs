//! `GET /api/submissions/:id`

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use domain::SubmissionId;
use jiff::Timestamp;
use serde::Serialize;
use store::SubmissionRefusal;
use utoipa::ToSchema;

use crate::app::SharedApp;
use crate::caller::Caller;
use crate::conditions::{EntityTag, Tags};
use crate::extract::Id;
use crate::openapi::terms;
use crate::problem::{Code, Problem};
use crate::repeat::repeat;

/// A submission.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Submission {
    #[schema(value_type = Uuid)]
    id: SubmissionId,
    tenant: String,
    /// Who of the tenant handed it in, if that is known.
    #[schema(required)]
    owner: Option<String>,
    #[schema(value_type = terms::SubmissionStatus)]
    status: &'static str,
    #[schema(value_type = terms::Content)]
    content: serde_json::Value,
    created_at: Timestamp,
}

/// Shows a submission with its content: 304 when the client has this state of it.
#[utoipa::path(
    get, path = "/api/submissions/{id}", tag = "submissions", operation_id = "showSubmission",
    params(("id" = Uuid, Path, description = "The submission's."), ("If-None-Match" = Option<String>, Header)),
    responses((status = 200, description = "The submission.", body = Submission)),
    extensions(("x-problems" = json!([Code::UnknownSubmission]))),
)]
pub(crate) async fn show(
    State(app): State<SharedApp>,
    caller: Caller,
    Id(id): Id,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let store = app.store(&caller);
    if let Some(known) = Tags::if_none_match(&headers)
        && let Some((_, revision)) = repeat(|| store.submission_revision(id)).await?
    {
        let tag = EntityTag::of_revision(revision);
        if known.names(&tag) {
            return Ok(tag.not_modified());
        }
    }
    let row = repeat(|| store.submission(id)).await?.ok_or(SubmissionRefusal::NotFound)?;
    let tag = EntityTag::of_revision(row.revision);
    Ok(tag.on(Json(Submission {
        id: row.id,
        tenant: row.tenant,
        owner: row.owner,
        status: row.status.as_str(),
        content: row.content,
        created_at: row.created_at,
    })))
}

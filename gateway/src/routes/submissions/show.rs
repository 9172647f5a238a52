//! `GET /api/submissions/:id`

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use domain::SubmissionId;
use jiff::Timestamp;
use serde::Serialize;
use store::SubmissionRefusal;

use crate::app::SharedApp;
use crate::caller::Caller;
use crate::conditions::{EntityTag, Tags};
use crate::extract::Id;
use crate::problem::Problem;
use crate::repeat::repeat;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Submission {
    id: SubmissionId,
    tenant: String,
    /// Who of the tenant handed it in, if that is known.
    owner: Option<String>,
    status: &'static str,
    content: serde_json::Value,
    created_at: Timestamp,
}

/// Shows a submission with its content: 304 when the client has this state of it.
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

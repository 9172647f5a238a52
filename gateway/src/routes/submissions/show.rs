//! `GET /api/submissions/:id`

use axum::Json;
use axum::extract::State;
use domain::SubmissionId;
use jiff::Timestamp;
use serde::Serialize;
use store::SubmissionRefusal;

use crate::app::SharedApp;
use crate::extract::Id;
use crate::problem::Problem;
use crate::repeat::repeat;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Submission {
    id: SubmissionId,
    tenant: String,
    status: &'static str,
    content: serde_json::Value,
    created_at: Timestamp,
}

/// Shows a submission with its content.
pub(crate) async fn show(State(app): State<SharedApp>, Id(id): Id) -> Result<Json<Submission>, Problem> {
    let row = repeat(|| app.store.submission(id, None)).await?.ok_or(SubmissionRefusal::NotFound)?;
    Ok(Json(Submission {
        id: row.id,
        tenant: row.tenant,
        status: row.status.as_str(),
        content: row.content,
        created_at: row.created_at,
    }))
}

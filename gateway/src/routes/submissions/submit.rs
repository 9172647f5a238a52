//! `POST /api/submissions/:id/submit`

use axum::extract::State;
use store::SubmissionStatus;

use super::Standing;
use crate::app::SharedApp;
use crate::caller::Caller;
use crate::extract::Id;
use crate::problem::{Code, Problem};
use crate::repeat::repeat;

/// Makes a submission final. Doing so again is harmless.
#[utoipa::path(
    post, path = "/api/submissions/{id}/submit", tag = "submissions", operation_id = "submit",
    params(("id" = Uuid, Path, description = "The submission's.")),
    responses((
        status = 200, description = "It is SUBMITTED.", body = Standing,
        links(("score" = (
            operation_id = "createJob", request_body = json!({"submissionId": "$response.body#/id"})
        ))),
    )),
    extensions(("x-problems" = json!([Code::UnknownSubmission]))),
)]
pub(crate) async fn submit(
    State(app): State<SharedApp>,
    caller: Caller,
    Id(id): Id,
) -> Result<Standing, Problem> {
    let store = app.store(&caller);
    repeat(|| store.submit(id)).await??;
    Ok(Standing::new(id, SubmissionStatus::Submitted))
}

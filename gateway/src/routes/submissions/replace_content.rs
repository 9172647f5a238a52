//! `PUT /api/submissions/:id/content`

use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::value::RawValue;
use store::{SubmissionRefusal, SubmissionStatus};

use super::{Standing, check_content};
use crate::app::SharedApp;
use crate::caller::Caller;
use crate::conditions::{EntityTag, Tags};
use crate::extract::{Id, JsonText, unreadable};
use crate::openapi::terms;
use crate::problem::{Code, Problem};
use crate::repeat::repeat;

/// A revision that no submission is in.
const NONE: &str = "none";

/// Replaces the content of a submission that is in progress. The body is the content itself. With `If-Match`, only if
/// nobody else has changed it meanwhile.
#[utoipa::path(
    put, path = "/api/submissions/{id}/content", tag = "submissions", operation_id = "replaceContent",
    params(("id" = Uuid, Path, description = "The submission's."), ("If-Match" = Option<String>, Header)),
    request_body(content = terms::Content, example = json!({"code": "print(1)\n", "language": "python"})),
    responses((status = 200, description = "It has the new content.", body = Standing)),
    extensions(("x-problems" = json!([
        Code::UnknownSubmission, Code::AlreadySubmitted, Code::InvalidContent
    ]))),
)]
pub(crate) async fn replace_content(
    State(app): State<SharedApp>,
    caller: Caller,
    Id(id): Id,
    headers: HeaderMap,
    JsonText(body): JsonText,
) -> Result<Standing, Problem> {
    // Told apart from content that is JSON and no good.
    serde_json::from_slice::<&RawValue>(&body).map_err(|error| unreadable(&error))?;
    check_content(&body)?;
    let store = app.store(&caller);
    let content =
        str::from_utf8(&body).map_err(|error| Problem::new(Code::MalformedJson, error.to_string()))?;
    match Tags::if_match(&headers) {
        None => repeat(|| store.replace_content(id, content)).await??,
        Some(tags) => {
            let found = repeat(|| store.submission_revision(id)).await?;
            let (_, revision) = found.ok_or(SubmissionRefusal::NotFound)?;
            // Should it not be the one that is named, it may still have this content: that is for Postgres to see.
            let named = tags.names(&EntityTag::of_revision(revision.as_str()));
            let revision = if named { revision.as_str() } else { NONE };
            repeat(|| store.replace_content_if(id, content, revision)).await??;
        }
    }
    Ok(Standing::new(id, SubmissionStatus::InProgress))
}

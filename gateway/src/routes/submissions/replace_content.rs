//! `PUT /api/submissions/:id/content`

use axum::extract::State;
use serde_json::value::RawValue;
use store::SubmissionStatus;

use super::{Standing, check_content};
use crate::app::SharedApp;
use crate::caller::Caller;
use crate::extract::{Id, JsonText, unreadable};
use crate::problem::{Code, Problem};
use crate::repeat::repeat;

/// Replaces the content of a submission that is in progress. The body is the content itself.
pub(crate) async fn replace_content(
    State(app): State<SharedApp>,
    caller: Caller,
    Id(id): Id,
    JsonText(body): JsonText,
) -> Result<Standing, Problem> {
    // Told apart from content that is JSON and no good.
    serde_json::from_slice::<&RawValue>(&body).map_err(|error| unreadable(&error))?;
    check_content(&body)?;
    let store = app.store(&caller);
    let content =
        str::from_utf8(&body).map_err(|error| Problem::new(Code::MalformedJson, error.to_string()))?;
    repeat(|| store.replace_content(id, content)).await??;
    Ok(Standing::new(id, SubmissionStatus::InProgress))
}

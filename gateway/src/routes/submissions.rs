//! `/api/submissions`

mod create;
mod list;
mod replace_content;
mod show;
mod submit;

pub(crate) use create::{__path_create, create};
pub(crate) use list::{__path_list, list};
pub(crate) use replace_content::{__path_replace_content, replace_content};
pub(crate) use show::{__path_show, show};
pub(crate) use submit::{__path_submit, submit};

use axum::response::{IntoResponse, Response};
use domain::SubmissionId;
use domain::submission::Content;
use serde::Serialize;
use store::{SubmissionRefusal, SubmissionStatus};
use utoipa::ToSchema;

use crate::openapi::terms;
use crate::problem::{Code, Problem};

/// How a submission stands.
#[derive(Serialize, ToSchema)]
pub(crate) struct Standing {
    #[schema(value_type = Uuid)]
    id: SubmissionId,
    #[schema(value_type = terms::SubmissionStatus)]
    status: &'static str,
}

impl Standing {
    fn new(id: SubmissionId, status: SubmissionStatus) -> Standing {
        Standing { id, status: status.as_str() }
    }
}

impl IntoResponse for Standing {
    fn into_response(self) -> Response {
        axum::Json(self).into_response()
    }
}

/// Refuses content that could not be scored, while whoever wrote it is still there to be told.
fn check_content(json: &[u8]) -> Result<(), Problem> {
    match Content::from_slice(json) {
        Ok(_) => Ok(()),
        Err(invalid) => Err(Problem::new(Code::InvalidContent, invalid.to_string())),
    }
}

impl From<SubmissionRefusal> for Problem {
    fn from(refusal: SubmissionRefusal) -> Self {
        match refusal {
            SubmissionRefusal::NotFound => {
                Problem::new(Code::UnknownSubmission, "There is no such submission.")
            }
            SubmissionRefusal::AlreadySubmitted => {
                Problem::new(Code::AlreadySubmitted, "The submission is SUBMITTED and can no longer change.")
            }
            SubmissionRefusal::Changed => Problem::changed(),
        }
    }
}

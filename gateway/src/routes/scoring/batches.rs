//! `/api/scoring/batches`

mod create;
mod events;
mod show;

pub(crate) use create::{__path_create, create};
pub(crate) use events::{__path_events, events};
pub(crate) use show::{__path_show, show};

use domain::SubmissionId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::{Code, Problem};

/// A submission that did not become a member.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Rejected {
    #[schema(value_type = Uuid)]
    submission_id: SubmissionId,
    /// Why: `unknown_submission`, `not_submitted`, `unknown_rubric`, `quota_exceeded` or `active_job`.
    code: String,
}

impl From<store::Rejected> for Rejected {
    fn from(rejected: store::Rejected) -> Self {
        Rejected { submission_id: rejected.submission_id, code: rejected.code }
    }
}

fn no_such_batch() -> Problem {
    Problem::new(Code::UnknownBatch, "There is no such batch.")
}

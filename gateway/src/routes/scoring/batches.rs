//! `/api/scoring/batches`

mod create;
mod events;
mod show;

pub(crate) use create::create;
pub(crate) use events::events;
pub(crate) use show::show;

use domain::SubmissionId;
use serde::Serialize;

use crate::problem::{Code, Problem};

/// A submission that did not become a member.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rejected {
    submission_id: SubmissionId,
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

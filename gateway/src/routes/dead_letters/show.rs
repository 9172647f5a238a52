//! `GET /api/dead-letters/:id`

use axum::Json;
use axum::extract::State;
use domain::{JobId, JobStatus};
use jiff::Timestamp;
use serde::Serialize;
use store::{DeadLetterDetail, RedriveRow};

use super::letter::Letter;
use super::no_such_dead_letter;
use crate::app::SharedApp;
use crate::caller::Caller;
use crate::extract::Id;
use crate::problem::Problem;
use crate::repeat::repeat;
use crate::routes::attempt::Attempt;
use crate::traceparent::trace_id;

/// A dead letter with all that is on record about it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Detail {
    job: Letter,
    /// Of the request that made it: what logs and traces know it by.
    trace_id: Option<String>,
    attempts: Vec<Attempt>,
    redrives: Vec<Redrive>,
    /// The dead letter that this one is a redrive of.
    redrive_of: Option<JobId>,
}

#[derive(Serialize)]
struct Redrive {
    by: String,
    at: Timestamp,
    job_id: JobId,
    /// Nothing when that job is no longer on record.
    status: Option<JobStatus>,
}

impl From<RedriveRow> for Redrive {
    fn from(row: RedriveRow) -> Self {
        Redrive { by: row.by, at: row.at, job_id: row.new_job, status: row.status }
    }
}

/// Shows a dead letter.
pub(crate) async fn show(
    State(app): State<SharedApp>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Detail>, Problem> {
    let store = app.store(&caller);
    let DeadLetterDetail { letter, attempts, redrives, redrive_of } =
        repeat(|| store.dead_letter(id)).await?.ok_or_else(no_such_dead_letter)?;
    Ok(Json(Detail {
        trace_id: letter.job.traceparent.as_deref().and_then(trace_id).map(str::to_owned),
        job: letter.into(),
        attempts: attempts.into_iter().map(Attempt::from).collect(),
        redrives: redrives.into_iter().map(Redrive::from).collect(),
        redrive_of,
    }))
}

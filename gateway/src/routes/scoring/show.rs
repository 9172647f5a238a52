//! `GET /api/scoring/:id`

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use store::JobDetail;

use super::job::Job;
use super::no_such_job;
use crate::app::SharedApp;
use crate::caller::Caller;
use crate::extract::Id;
use crate::problem::Problem;
use crate::repeat::repeat;

/// A job with the results of the single criteria.
#[derive(Serialize)]
pub(crate) struct Detail {
    #[serde(flatten)]
    job: Job,
    result: Option<serde_json::Value>,
}

impl From<JobDetail> for Detail {
    fn from(JobDetail { job, result }: JobDetail) -> Self {
        Detail { job: job.into(), result }
    }
}

/// Shows a job.
pub(crate) async fn show(
    State(app): State<SharedApp>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Detail>, Problem> {
    let store = app.store(&caller);
    let detail = repeat(|| store.job(id)).await?.ok_or_else(no_such_job)?;
    Ok(Json(detail.into()))
}

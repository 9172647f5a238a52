//! `GET /api/scoring`

use axum::Json;
use axum::extract::State;
use domain::{JobStatus, SubmissionId};
use serde::{Deserialize, Serialize};
use store::JobFilter;

use super::job::Job;
use crate::app::SharedApp;
use crate::caller::Caller;
use crate::extract::Asked;
use crate::page::AskedPage;
use crate::problem::{Code, Problem};
use crate::repeat::repeat;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Query {
    submission_id: Option<SubmissionId>,
    status: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// A page of jobs, newest first. The results of single criteria are left to the job's own page.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    items: Vec<Job>,
    next_cursor: Option<String>,
}

/// Lists jobs.
pub(crate) async fn list(
    State(app): State<SharedApp>,
    caller: Caller,
    Asked(query): Asked<Query>,
) -> Result<Json<Page>, Problem> {
    let AskedPage { after, limit } = AskedPage::new(query.limit, query.cursor.as_deref())?;
    let status: Option<JobStatus> = query
        .status
        .map(|status| status.parse())
        .transpose()
        .map_err(|error| Problem::new(Code::InvalidQuery, format!("{error}.")))?;
    let filter = JobFilter { submission_id: query.submission_id, status, tenant: None };
    let store = app.store(&caller);
    let page = repeat(|| store.jobs(&filter, after, limit)).await?;
    Ok(Json(Page {
        items: page.jobs.into_iter().map(Job::from).collect(),
        next_cursor: page.next.map(|cursor| cursor.to_string()),
    }))
}

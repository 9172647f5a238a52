//! `GET /api/scoring`

use axum::Json;
use axum::extract::State;
use domain::{BatchId, JobStatus, SubmissionId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::JobFilter;

use super::job::Job;
use crate::app::SharedApp;
use crate::caller::Caller;
use crate::extract::Asked;
use crate::page::{AskedPage, choice};
use crate::problem::{Code, Problem};
use crate::repeat::repeat;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Query {
    tenant: Option<String>,
    status: Option<String>,
    submission_id: Option<SubmissionId>,
    batch_id: Option<BatchId>,
    pool: Option<String>,
    rubric: Option<String>,
    code: Option<String>,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    q: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// A page of jobs, newest first. The results of single criteria are left to the job's own page.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    items: Vec<Job>,
    /// Where the next page begins; nothing on the last.
    next_cursor: Option<String>,
    /// So many jobs were looked at that do not match that the page was ended before it was full. The next goes on.
    cut_short: bool,
}

/// Lists jobs, or searches them.
pub(crate) async fn list(
    State(app): State<SharedApp>,
    caller: Caller,
    Asked(query): Asked<Query>,
) -> Result<Json<Page>, Problem> {
    let AskedPage { after, limit } = AskedPage::new(query.limit, query.cursor.as_deref())?;
    let filter = query.filter()?;
    let store = app.store(&caller);
    let page = repeat(|| store.jobs(&filter, after, limit)).await?;
    Ok(Json(Page {
        items: page.jobs.into_iter().map(Job::from).collect(),
        next_cursor: page.next.map(|cursor| cursor.to_string()),
        cut_short: page.cut_short,
    }))
}

impl Query {
    fn filter(self) -> Result<JobFilter, Problem> {
        let status: Option<JobStatus> = self
            .status
            .map(|status| status.parse())
            .transpose()
            .map_err(|error| Problem::new(Code::InvalidQuery, format!("{error}.")))?;
        Ok(JobFilter {
            submission_id: self.submission_id,
            batch_id: self.batch_id,
            status,
            tenant: choice("tenant", self.tenant)?,
            pool: choice("pool", self.pool)?,
            rubric: choice("rubric", self.rubric)?,
            code: choice("code", self.code)?,
            from: self.from,
            until: self.until,
            search: choice("q", self.q)?,
        })
    }
}

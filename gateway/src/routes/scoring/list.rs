//! `GET /api/scoring`

use axum::Json;
use axum::extract::State;
use domain::{BatchId, JobStatus, SubmissionId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::JobFilter;
use utoipa::{IntoParams, ToSchema};

use super::job::Job;
use crate::app::SharedApp;
use crate::caller::Caller;
use crate::extract::Asked;
use crate::openapi::terms;
use crate::page::{AskedPage, choice};
use crate::problem::{Code, Problem};
use crate::repeat::repeat;

/// Which jobs.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Query {
    /// Of this tenant.
    #[param(value_type = Option<terms::Choice>)]
    tenant: Option<String>,
    /// That stand here.
    #[param(value_type = Option<terms::JobStatus>)]
    status: Option<String>,
    /// Of this submission.
    #[param(value_type = Option<Uuid>)]
    submission_id: Option<SubmissionId>,
    /// Of this batch.
    #[param(value_type = Option<Uuid>)]
    batch_id: Option<BatchId>,
    /// Of this pool.
    #[param(value_type = Option<terms::Choice>)]
    pool: Option<String>,
    /// Under this rubric.
    #[param(value_type = Option<terms::Choice>)]
    rubric: Option<String>,
    /// With this error code.
    #[param(value_type = Option<terms::Choice>)]
    code: Option<String>,
    /// Made at this time or later.
    from: Option<Timestamp>,
    /// Made before this time.
    until: Option<Timestamp>,
    /// An id, its beginning, or words of the feedback.
    #[param(value_type = Option<terms::Choice>)]
    q: Option<String>,
    /// The most on one page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `nextCursor` of the page before.
    #[param(value_type = Option<terms::Cursor>)]
    cursor: Option<String>,
}

/// A page of jobs, newest first. The results of single criteria are left to the job's own page.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = JobPage)]
pub(crate) struct Page {
    items: Vec<Job>,
    /// Where the next page begins; nothing on the last.
    #[schema(required, value_type = Option<terms::Cursor>)]
    next_cursor: Option<String>,
    /// So many jobs were looked at that do not match that the page was ended before it was full. The next goes on.
    cut_short: bool,
}

/// Lists jobs, or searches them.
#[utoipa::path(
    get, path = "/api/scoring", tag = "scoring", operation_id = "listJobs",
    params(Query),
    responses((
        status = 200, description = "A page of jobs.", body = Page,
        links(("show" = (operation_id = "showJob", parameters(("id" = "$response.body#/items/0/job_id"))))),
    )),
    extensions(("x-problems" = json!([Code::Forbidden]))),
)]
pub(crate) async fn list(
    State(app): State<SharedApp>,
    caller: Caller,
    Asked(query): Asked<Query>,
) -> Result<Json<Page>, Problem> {
    let AskedPage { after, limit } = AskedPage::new(query.limit, query.cursor.as_deref())?;
    let filter = query.filter(&caller)?;
    let store = app.store(&caller);
    let page = async { Ok(repeat(|| store.jobs(&filter, after, limit)).await?) };
    let page = if filter.searches_texts() { app.overload.search(&caller, page).await } else { page.await }?;
    Ok(Json(Page {
        items: page.jobs.into_iter().map(Job::from).collect(),
        next_cursor: page.next.map(|cursor| cursor.to_string()),
        cut_short: page.cut_short,
    }))
}

impl Query {
    fn filter(self, caller: &Caller) -> Result<JobFilter, Problem> {
        let status: Option<JobStatus> = self
            .status
            .map(|status| status.parse())
            .transpose()
            .map_err(|error| Problem::new(Code::InvalidQuery, format!("{error}.")))?;
        Ok(JobFilter {
            submission_id: self.submission_id,
            batch_id: self.batch_id,
            status,
            tenant: caller.tenant_if_named(choice("tenant", self.tenant)?)?,
            pool: choice("pool", self.pool)?,
            rubric: choice("rubric", self.rubric)?,
            code: choice("code", self.code)?,
            from: self.from,
            until: self.until,
            search: choice("q", self.q)?,
        })
    }
}

//! `GET /api/submissions`

use axum::Json;
use axum::extract::State;
use domain::SubmissionId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{ListedSubmission, SubmissionFilter, SubmissionStatus};

use crate::app::SharedApp;
use crate::caller::Caller;
use crate::extract::Asked;
use crate::page::{AskedPage, choice};
use crate::problem::{Code, Problem};
use crate::repeat::repeat;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    tenant: Option<String>,
    status: Option<String>,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// A page of submissions, newest first, without their content.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    items: Vec<Submission>,
    /// Where the next page begins; nothing on the last.
    next_cursor: Option<String>,
    /// So many were looked at that do not match that the page was ended before it was full. The next goes on.
    cut_short: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Submission {
    id: SubmissionId,
    tenant: String,
    owner: Option<String>,
    status: &'static str,
    created_at: Timestamp,
}

/// Lists submissions.
pub(crate) async fn list(
    State(app): State<SharedApp>,
    caller: Caller,
    Asked(query): Asked<Query>,
) -> Result<Json<Page>, Problem> {
    let AskedPage { after, limit } = AskedPage::new(query.limit, query.cursor.as_deref())?;
    let store = app.store(&caller);
    let filter = query.filter()?;
    let page = repeat(|| store.submissions(&filter, after, limit)).await?;
    Ok(Json(Page {
        items: page.submissions.into_iter().map(Submission::from).collect(),
        next_cursor: page.next.map(|cursor| cursor.to_string()),
        cut_short: page.cut_short,
    }))
}

impl Query {
    fn filter(self) -> Result<SubmissionFilter, Problem> {
        let known = [SubmissionStatus::InProgress, SubmissionStatus::Submitted];
        let named = |name: String| {
            let unknown = || format!("{name:?} is not a status of submissions: IN_PROGRESS or SUBMITTED.");
            let found = known.into_iter().find(|status| status.as_str() == name);
            found.ok_or_else(|| Problem::new(Code::InvalidQuery, unknown()))
        };
        Ok(SubmissionFilter {
            tenant: choice("tenant", self.tenant)?,
            status: self.status.map(named).transpose()?,
            from: self.from,
            until: self.until,
        })
    }
}

impl From<ListedSubmission> for Submission {
    fn from(row: ListedSubmission) -> Self {
        Submission {
            id: row.id,
            tenant: row.tenant,
            owner: row.owner,
            status: row.status.as_str(),
            created_at: row.created_at,
        }
    }
}

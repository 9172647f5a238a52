//! `GET /api/submissions`

use axum::Json;
use axum::extract::State;
use domain::SubmissionId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{ListedSubmission, SubmissionFilter, SubmissionStatus};
use utoipa::{IntoParams, ToSchema};

use crate::app::SharedApp;
use crate::caller::Caller;
use crate::extract::Asked;
use crate::openapi::terms;
use crate::page::{AskedPage, choice};
use crate::problem::{Code, Problem};
use crate::repeat::repeat;

/// Which submissions.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Query {
    /// Of this tenant.
    #[param(value_type = Option<terms::Choice>)]
    tenant: Option<String>,
    /// That stand here.
    #[param(value_type = Option<terms::SubmissionStatus>)]
    status: Option<String>,
    /// Made at this time or later.
    from: Option<Timestamp>,
    /// Made before this time.
    until: Option<Timestamp>,
    /// The most on one page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `nextCursor` of the page before.
    #[param(value_type = Option<terms::Cursor>)]
    cursor: Option<String>,
}

/// A page of submissions, newest first, without their content.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SubmissionPage)]
pub(crate) struct Page {
    items: Vec<Submission>,
    /// Where the next page begins; nothing on the last.
    #[schema(required, value_type = Option<terms::Cursor>)]
    next_cursor: Option<String>,
    /// So many were looked at that do not match that the page was ended before it was full. The next goes on.
    cut_short: bool,
}

/// A submission without its content.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ListedSubmission)]
struct Submission {
    #[schema(value_type = Uuid)]
    id: SubmissionId,
    tenant: String,
    /// Who of the tenant handed it in, if that is known.
    #[schema(required)]
    owner: Option<String>,
    #[schema(value_type = terms::SubmissionStatus)]
    status: &'static str,
    created_at: Timestamp,
}

/// Lists submissions.
#[utoipa::path(
    get, path = "/api/submissions", tag = "submissions", operation_id = "listSubmissions",
    params(Query),
    responses((
        status = 200, description = "A page of submissions.", body = Page,
        links(("show" = (operation_id = "showSubmission", parameters(("id" = "$response.body#/items/0/id"))))),
    )),
    extensions(("x-problems" = json!([Code::Forbidden]))),
)]
pub(crate) async fn list(
    State(app): State<SharedApp>,
    caller: Caller,
    Asked(query): Asked<Query>,
) -> Result<Json<Page>, Problem> {
    let AskedPage { after, limit } = AskedPage::new(query.limit, query.cursor.as_deref())?;
    let store = app.store(&caller);
    let filter = query.filter(&caller)?;
    let page = repeat(|| store.submissions(&filter, after, limit)).await?;
    Ok(Json(Page {
        items: page.submissions.into_iter().map(Submission::from).collect(),
        next_cursor: page.next.map(|cursor| cursor.to_string()),
        cut_short: page.cut_short,
    }))
}

impl Query {
    fn filter(self, caller: &Caller) -> Result<SubmissionFilter, Problem> {
        let known = [SubmissionStatus::InProgress, SubmissionStatus::Submitted];
        let named = |name: String| {
            let unknown = || format!("{name:?} is not a status of submissions: IN_PROGRESS or SUBMITTED.");
            let found = known.into_iter().find(|status| status.as_str() == name);
            found.ok_or_else(|| Problem::new(Code::InvalidQuery, unknown()))
        };
        Ok(SubmissionFilter {
            tenant: caller.tenant_if_named(choice("tenant", self.tenant)?)?,
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

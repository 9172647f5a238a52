//! `GET /api/dead-letters`

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::DeadLetterFilter;
use utoipa::{IntoParams, ToSchema};

use super::letter::Letter;
use crate::app::SharedApp;
use crate::caller::Caller;
use crate::extract::Asked;
use crate::openapi::terms;
use crate::page::AskedPage;
use crate::problem::{Code, Problem};
use crate::repeat::repeat;

/// Which dead letters.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Query {
    /// With this error code.
    code: Option<String>,
    /// Of this pool.
    pool: Option<String>,
    /// Under this rubric.
    rubric: Option<String>,
    /// Of this tenant.
    tenant: Option<String>,
    /// That ended at this time or later.
    from: Option<Timestamp>,
    /// That ended before this time.
    until: Option<Timestamp>,
    /// That were redriven, or were not.
    redriven: Option<bool>,
    /// The most on one page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `nextCursor` of the page before.
    #[param(value_type = Option<terms::Cursor>)]
    cursor: Option<String>,
}

/// A page of dead letters, newest first: by when they ended.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeadLetterPage)]
pub(crate) struct Page {
    items: Vec<Letter>,
    /// Nothing on the last page.
    #[schema(required, value_type = Option<terms::Cursor>)]
    next_cursor: Option<String>,
}

/// Lists dead letters.
#[utoipa::path(
    get, path = "/api/dead-letters", tag = "dead letters", operation_id = "listDeadLetters",
    params(Query),
    responses((
        status = 200, description = "A page of dead letters.", body = Page,
        links(
            ("show" = (operation_id = "showDeadLetter", parameters(("id" = "$response.body#/items/0/job_id")))),
            ("redrive" = (operation_id = "redrive", parameters(("id" = "$response.body#/items/0/job_id")))),
        ),
    )),
    extensions(("x-problems" = json!([Code::InvalidData, Code::Forbidden]))),
)]
pub(crate) async fn list(
    State(app): State<SharedApp>,
    caller: Caller,
    Asked(query): Asked<Query>,
) -> Result<Json<Page>, Problem> {
    let Query { code, pool, rubric, tenant, from, until, redriven, limit, cursor } = query;
    let AskedPage { after, limit } = AskedPage::new(limit, cursor.as_deref())?;
    let tenant = caller.tenant_if_named(tenant)?;
    let store = app.store(&caller);
    let filter = DeadLetterFilter { code, pool, rubric, tenant, batch: None, from, until, redriven };
    let page = repeat(|| store.dead_letters(&filter, after, limit)).await?;
    Ok(Json(Page {
        items: page.letters.into_iter().map(Letter::from).collect(),
        next_cursor: page.next.map(|cursor| cursor.to_string()),
    }))
}

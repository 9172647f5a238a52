//! `GET /api/dead-letters`

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::DeadLetterFilter;

use super::letter::Letter;
use crate::app::SharedApp;
use crate::caller::Caller;
use crate::extract::Asked;
use crate::page::AskedPage;
use crate::problem::Problem;
use crate::repeat::repeat;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Query {
    code: Option<String>,
    pool: Option<String>,
    rubric: Option<String>,
    tenant: Option<String>,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    redriven: Option<bool>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// A page of dead letters, newest first: by when they ended.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    items: Vec<Letter>,
    next_cursor: Option<String>,
}

/// Lists dead letters.
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

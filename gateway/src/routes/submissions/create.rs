//! `POST /api/submissions`

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::Tenant;
use serde::Deserialize;
use serde_json::value::RawValue;
use store::SubmissionStatus;

use super::{Standing, check_content};
use crate::app::SharedApp;
use crate::caller::Caller;
use crate::extract::Json;
use crate::idempotency::NewId;
use crate::problem::{Code, Problem};
use crate::repeat::repeat;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    content: Box<RawValue>,
    #[serde(default)]
    submit: bool,
    tenant: Option<String>,
    owner: Option<String>,
}

/// Creates a submission, open to change unless it is to be submitted at once.
pub(crate) async fn create(
    State(app): State<SharedApp>,
    caller: Caller,
    NewId(id): NewId,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    let Request { content, submit, tenant, owner } = request;
    let tenant = caller.tenant_named(tenant)?;
    let owner = caller.owner_named(owner)?;
    if let Err(invalid) = tenant.parse::<Tenant>() {
        return Err(Problem::new(Code::InvalidTenant, format!("tenant: {invalid}.")));
    }
    check_content(content.get().as_bytes())?;
    // Under the same id, a repetition creates nothing more.
    let store = app.store(&caller);
    repeat(|| store.create_submission(id, &tenant, owner.as_deref(), content.get(), submit)).await?;
    let status = if submit { SubmissionStatus::Submitted } else { SubmissionStatus::InProgress };
    let location = [(header::LOCATION, format!("/api/submissions/{id}"))];
    Ok((StatusCode::CREATED, location, Standing::new(id, status)).into_response())
}

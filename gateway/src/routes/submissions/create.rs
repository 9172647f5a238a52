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
}

/// Creates a submission, open to change unless it is to be submitted at once.
pub(crate) async fn create(
    State(app): State<SharedApp>,
    NewId(id): NewId,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    let Request { content, submit, tenant } = request;
    let tenant = tenant.as_deref().unwrap_or("default");
    if let Err(invalid) = tenant.parse::<Tenant>() {
        return Err(Problem::new(Code::InvalidTenant, format!("tenant: {invalid}.")));
    }
    check_content(content.get().as_bytes())?;
    // Under the same id, a repetition creates nothing more.
    repeat(|| app.store.create_submission(id, tenant, content.get(), submit)).await?;
    let status = if submit { SubmissionStatus::Submitted } else { SubmissionStatus::InProgress };
    let location = [(header::LOCATION, format!("/api/submissions/{id}"))];
    Ok((StatusCode::CREATED, location, Standing::new(id, status)).into_response())
}

//! `POST /api/submissions`

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::Tenant;
use serde::Deserialize;
use serde_json::value::RawValue;
use store::SubmissionStatus;
use utoipa::ToSchema;

use super::{Standing, check_content};
use crate::app::SharedApp;
use crate::caller::Caller;
use crate::extract::Json;
use crate::idempotency::NewId;
use crate::openapi::terms;
use crate::problem::{Code, Problem};
use crate::repeat::repeat;

/// A submission to be created.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSubmission)]
pub(crate) struct Request {
    #[schema(value_type = terms::Content)]
    content: Box<RawValue>,
    /// Whether it is final at once.
    #[serde(default)]
    submit: bool,
    /// Whose it is; at most 253 bytes.
    #[schema(min_length = 1, max_length = 253, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    tenant: Option<String>,
    /// Who of the tenant hands it in, 1 to 255 bytes: for learners it is themselves.
    #[schema(min_length = 1, max_length = 255, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    owner: Option<String>,
}

/// Creates a submission, open to change unless it is to be submitted at once.
#[utoipa::path(
    post, path = "/api/submissions", tag = "submissions", operation_id = "createSubmission",
    request_body(content = Request, example = json!({
        "content": {
            "files": [{"path": "add.py", "text": "def add(a, b):\n    return a + b\n"}],
            "documentation": "# Adding",
        },
        "submit": true,
    })),
    responses((
        status = 201, description = "It is on record.", body = Standing,
        headers(("Location" = String, description = "The path of the submission.")),
        links(
            ("show" = (operation_id = "showSubmission", parameters(("id" = "$response.body#/id")))),
            ("replaceContent" = (
                operation_id = "replaceContent", parameters(("id" = "$response.body#/id"))
            )),
            ("submit" = (operation_id = "submit", parameters(("id" = "$response.body#/id")))),
            ("score" = (
                operation_id = "createJob", request_body = json!({"submissionId": "$response.body#/id"})
            )),
        ),
    )),
    extensions(("x-problems" = json!([Code::InvalidContent, Code::InvalidTenant, Code::InvalidOwner, Code::Forbidden]))),
)]
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

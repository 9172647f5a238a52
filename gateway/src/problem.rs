//! What is answered when a request cannot be served: RFC 9457 problem details with a stable code.

mod meaning;

use std::borrow::Cow;
use std::error::Error;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use runtime::GroupCommitError;
use serde::{Deserialize, Serialize};
use store::{Refusal, StoreError};
use tracing::error;
use utoipa::ToSchema;

/// A stable, machine-readable name of what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ProblemCode)]
pub(crate) enum Code {
    Unauthenticated,
    InvalidToken,
    UnusableClaims,
    AuthenticationUnavailable,
    MalformedJson,
    InvalidBody,
    InvalidId,
    InvalidQuery,
    Forbidden,
    UnknownRoute,
    UnknownSubmission,
    UnknownJob,
    UnknownBatch,
    UnknownDeadLetter,
    MethodNotAllowed,
    QuotaExceeded,
    NotSubmitted,
    AlreadySubmitted,
    JobEnded,
    NotFailed,
    BodyTooLarge,
    BodyTimeout,
    UnsupportedMediaType,
    UnsupportedEncoding,
    UriTooLong,
    HeadersTooLarge,
    RateLimited,
    Overloaded,
    InvalidContent,
    InvalidTenant,
    InvalidOwner,
    InvalidPriority,
    InvalidRetries,
    InvalidBackoff,
    InvalidNotBefore,
    InvalidBatch,
    InvalidRedrive,
    InvalidData,
    UnknownPool,
    UnknownRubric,
    Internal,
    DatabaseUnavailable,
    TooManyStreams,
    TooManyWatchers,
    PreconditionFailed,
    InvalidIdempotencyKey,
    IdempotencyKeyReused,
    RequestInProgress,
}

impl Code {
    /// The name as clients see it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Code::Unauthenticated => "unauthenticated",
            Code::InvalidToken => "invalid_token",
            Code::UnusableClaims => "unusable_claims",
            Code::AuthenticationUnavailable => "authentication_unavailable",
            Code::MalformedJson => "malformed_json",
            Code::InvalidBody => "invalid_body",
            Code::InvalidId => "invalid_id",
            Code::InvalidQuery => "invalid_query",
            Code::Forbidden => "forbidden",
            Code::UnknownRoute => "unknown_route",
            Code::UnknownSubmission => "unknown_submission",
            Code::UnknownJob => "unknown_job",
            Code::UnknownBatch => "unknown_batch",
            Code::UnknownDeadLetter => "unknown_dead_letter",
            Code::MethodNotAllowed => "method_not_allowed",
            Code::QuotaExceeded => "quota_exceeded",
            Code::NotSubmitted => "not_submitted",
            Code::AlreadySubmitted => "already_submitted",
            Code::JobEnded => "job_ended",
            Code::NotFailed => "not_failed",
            Code::BodyTooLarge => "body_too_large",
            Code::BodyTimeout => "body_timeout",
            Code::UnsupportedMediaType => "unsupported_media_type",
            Code::UnsupportedEncoding => "unsupported_encoding",
            Code::UriTooLong => "uri_too_long",
            Code::HeadersTooLarge => "headers_too_large",
            Code::RateLimited => "rate_limited",
            Code::Overloaded => "overloaded",
            Code::InvalidContent => "invalid_content",
            Code::InvalidTenant => "invalid_tenant",
            Code::InvalidOwner => "invalid_owner",
            Code::InvalidPriority => "invalid_priority",
            Code::InvalidRetries => "invalid_retries",
            Code::InvalidBackoff => "invalid_backoff",
            Code::InvalidNotBefore => "invalid_not_before",
            Code::InvalidBatch => "invalid_batch",
            Code::InvalidRedrive => "invalid_redrive",
            Code::InvalidData => "invalid_data",
            Code::UnknownPool => "unknown_pool",
            Code::UnknownRubric => "unknown_rubric",
            Code::Internal => "internal",
            Code::DatabaseUnavailable => "database_unavailable",
            Code::TooManyStreams => "too_many_streams",
            Code::TooManyWatchers => "too_many_watchers",
            Code::PreconditionFailed => "precondition_failed",
            Code::InvalidIdempotencyKey => "invalid_idempotency_key",
            Code::IdempotencyKeyReused => "idempotency_key_reused",
            Code::RequestInProgress => "request_in_progress",
        }
    }

    /// 400: cannot be read. 422: can be read, and asks for what cannot be.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Code::Unauthenticated | Code::InvalidToken => StatusCode::UNAUTHORIZED,
            Code::UnusableClaims => StatusCode::FORBIDDEN,
            Code::InvalidIdempotencyKey
            | Code::MalformedJson
            | Code::InvalidBody
            | Code::InvalidId
            | Code::InvalidQuery => StatusCode::BAD_REQUEST,
            Code::Forbidden => StatusCode::FORBIDDEN,
            Code::UnknownRoute
            | Code::UnknownSubmission
            | Code::UnknownJob
            | Code::UnknownBatch
            | Code::UnknownDeadLetter => StatusCode::NOT_FOUND,
            Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Code::QuotaExceeded => StatusCode::TOO_MANY_REQUESTS,
            Code::RequestInProgress
            | Code::NotSubmitted
            | Code::AlreadySubmitted
            | Code::JobEnded
            | Code::NotFailed => StatusCode::CONFLICT,
            Code::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Code::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Code::UnsupportedMediaType | Code::UnsupportedEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Code::UriTooLong => StatusCode::URI_TOO_LONG,
            Code::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Code::IdempotencyKeyReused
            | Code::InvalidContent
            | Code::InvalidTenant
            | Code::InvalidOwner
            | Code::InvalidPriority
            | Code::InvalidRetries
            | Code::InvalidBackoff
            | Code::InvalidNotBefore
            | Code::InvalidBatch
            | Code::InvalidRedrive
            | Code::InvalidData
            | Code::UnknownPool
            | Code::UnknownRubric => StatusCode::UNPROCESSABLE_ENTITY,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Code::DatabaseUnavailable
            | Code::AuthenticationUnavailable
            | Code::TooManyStreams
            | Code::TooManyWatchers
            | Code::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Code::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        }
    }
}

/// An answer that says what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    code: Code,
    detail: Cow<'static, str>,
}

/// When a client shall ask again that was answered 503: outages are over in seconds or last for minutes.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("2");

/// When a client shall ask again whose tenant has too many active jobs: some will have ended by then.
const QUOTA_RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("10");

impl Problem {
    /// The media type of a problem.
    pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem { code, detail: detail.into() }
    }

    /// Its name.
    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// The database does not answer.
    pub(crate) fn unavailable() -> Problem {
        Problem::new(
            Code::DatabaseUnavailable,
            "The database does not answer. The request may be repeated as it is.",
        )
    }

    /// What If-Match says does not hold.
    pub(crate) fn changed() -> Problem {
        Problem::new(
            Code::PreconditionFailed,
            "It is in another state than If-Match names. Nothing was done; look at it again.",
        )
    }

    /// A defect: what is known of it goes to the log, not to the client.
    pub(crate) fn defect(error: &(dyn Error + 'static)) -> Problem {
        error!(error, "a request met a defect");
        Problem::internal()
    }

    /// What a 401 asks for (RFC 6750, 3).
    fn challenge(&self) -> Option<HeaderValue> {
        match self.code {
            Code::Unauthenticated => Some(HeaderValue::from_static(r#"Bearer realm="assay""#)),
            Code::InvalidToken => {
                // What may stand between the quotes: ASCII that can be seen, without quotes and backslashes.
                let plain = |letter: &char| matches!(letter, ' '..='~') && !matches!(letter, '"' | '\\');
                let description: String = self.detail.chars().filter(plain).collect();
                let challenge = format!(
                    r#"Bearer realm="assay", error="invalid_token", error_description="{description}""#
                );
                HeaderValue::try_from(challenge).ok()
            }
            _ => None,
        }
    }

    pub(crate) fn internal() -> Problem {
        Problem::new(Code::Internal, "The gateway met a defect of its own; its log says more.")
    }
}

/// What is wrong: problem details by RFC 9457.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Body<'a> {
    /// Always `about:blank`: it is the code that tells problems apart.
    r#type: &'static str,
    /// The status in words.
    title: &'static str,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong in this case, for people.
    detail: &'a str,
    #[schema(value_type = Code)]
    code: &'static str,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let body = Body {
            // The code tells problems apart; there is no page to point to.
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: &self.detail,
            code: self.code.as_str(),
        };
        let text = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (status, text).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(Problem::MEDIA_TYPE));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS);
        } else if self.code == Code::RequestInProgress {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.code == Code::QuotaExceeded {
            headers.insert(header::RETRY_AFTER, QUOTA_RETRY_AFTER_SECONDS);
        }
        if let Some(challenge) = self.challenge() {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Problem::unavailable(),
            StoreError::Invalid { message, .. } => Problem::new(Code::InvalidData, message),
            StoreError::Defect(_) => Problem::defect(&error),
        }
    }
}

impl From<GroupCommitError<StoreError>> for Problem {
    fn from(error: GroupCommitError<StoreError>) -> Self {
        match error {
            GroupCommitError::Flush(error) => error.into(),
            GroupCommitError::Defect(_) | GroupCommitError::Stopped => Problem::defect(&error),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::UnknownSubmission => {
                Problem::new(Code::UnknownSubmission, "There is no such submission.")
            }
            Refusal::NotSubmitted => Problem::new(
                Code::NotSubmitted,
                "The submission is still IN_PROGRESS. Submit it first; only what can no longer change is scored.",
            ),
            Refusal::UnknownRubric => Problem::new(Code::UnknownRubric, "There is no rubric of this name."),
            Refusal::OverQuota { allowed } => Problem::new(
                Code::QuotaExceeded,
                format!("The tenant has as many jobs that wait or run as it may have at once: {allowed}."),
            ),
            // Ids are drawn by the gateway and never given out twice.
            Refusal::IdTaken => Problem::defect(&refusal),
        }
    }
}

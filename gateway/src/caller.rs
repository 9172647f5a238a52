//! Who asks.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;

/// What a caller may do. Later ones may all that earlier ones may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Role {
    /// Hands in submissions, and sees those and their jobs.
    Learner,
    /// Sees and does everything within a tenant.
    Instructor,
    /// Sees and does everything.
    Admin,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Caller {
    /// Where they belong.
    pub(crate) tenant: String,
    /// Who they are within the tenant.
    pub(crate) subject: String,
    /// What they may do.
    pub(crate) role: Role,
}

impl Caller {
    /// Whoever asks while authentication is off.
    pub(crate) fn anyone() -> Caller {
        Caller { tenant: "default".to_owned(), subject: "api".to_owned(), role: Role::Admin }
    }
}

/// Finds out who asks, for everything behind it.
pub(crate) async fn authenticate(mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(Caller::anyone());
    next.run(request).await
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().expect("every route stands behind `authenticate`"))
    }
}

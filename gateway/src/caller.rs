//! Who asks.

use std::convert::Infallible;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use clap::ValueEnum;
use domain::Tenant;

/// What a caller may do. Later ones may all that earlier ones may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub(crate) enum Role {
    /// Hands in submissions, and sees those and their jobs.
    Learner,
    /// Sees and does everything within a tenant.
    Instructor,
    /// Sees and does everything.
    Admin,
}

impl Role {
    /// Its name in tokens.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Role::Learner => "learner",
            Role::Instructor => "instructor",
            Role::Admin => "admin",
        }
    }
}

/// There is no such role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = [Role::Learner, Role::Instructor, Role::Admin];
        known.into_iter().find(|role| role.as_str() == name).ok_or(UnknownRole)
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Caller {
    /// Where they belong: a name that [`Tenant`] allows.
    pub(crate) tenant: String,
    /// Who they are within the tenant: 1 to 255 bytes without control characters.
    pub(crate) subject: String,
    /// What they may do.
    pub(crate) role: Role,
}

impl Caller {
    /// Whoever asks while authentication is off.
    pub(crate) fn anyone() -> Caller {
        Caller { tenant: Tenant::default().into(), subject: "api".to_owned(), role: Role::Admin }
    }

    /// Tells callers apart: the length first, so that no two have the same name.
    pub(crate) fn key(&self) -> String {
        format!("{}:{}:{}", self.tenant.len(), self.tenant, self.subject)
    }

    /// As whom they share what there is only so much of; admins may have all of it.
    pub(crate) fn shared_as(&self) -> Option<String> {
        (self.role < Role::Admin).then(|| self.key())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().expect("a route that needs a caller stands behind `authenticate`"))
    }
}

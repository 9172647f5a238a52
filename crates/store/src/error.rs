//! What a caller may do about a failed call.

use std::sync::Arc;
use std::time::Duration;

use sqlx::error::DatabaseError;

/// A call to the store failed. Cheap to clone, so that everyone who took part in a group commit can be told.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Postgres cannot be used at the moment. The call may be repeated as it is; whether it took effect this time is
    /// unknown, and the repetition finds out.
    #[error("Postgres cannot be used at the moment")]
    Unavailable(#[source] Unavailability),
    /// Postgres refuses the data: repeating the call is useless.
    #[error("Postgres refuses the data: {message}")]
    Invalid {
        /// What Postgres says of it.
        message: String,
        /// The constraint that refuses it, if one does.
        constraint: Option<String>,
        /// Where it came from.
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// The store and the database do not fit together: a defect, or a schema from another version.
    #[error("the store cannot work with this database")]
    Defect(#[source] Arc<sqlx::Error>),
}

/// Why Postgres cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unavailability {
    /// No answer in time. The statement may have taken effect.
    #[error("no answer within {0:?}")]
    Deadline(Duration),
    /// The connection failed, or the server ended the transaction for a reason that passes.
    #[error(transparent)]
    Postgres(Arc<sqlx::Error>),
}

/// One item of a batch that Postgres refuses; the others are not affected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Postgres refuses this item: {message}")]
pub struct InvalidItem {
    /// What Postgres says of it.
    pub message: String,
    /// The constraint that refuses it, if one does.
    pub constraint: Option<String>,
}

/// The answer to a batch: one result for each item, in the order of the items, or an error that concerns them all.
pub type BatchResult<T> = Result<Vec<Result<T, InvalidItem>>, StoreError>;

impl StoreError {
    /// Whether the call may be repeated as it is.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, StoreError::Unavailable(_))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) => match kind_of(database.as_ref()) {
                Kind::Unavailable => StoreError::Unavailable(Unavailability::Postgres(Arc::new(error))),
                Kind::Invalid => StoreError::Invalid {
                    message: database.message().to_owned(),
                    constraint: database.constraint().map(str::to_owned),
                    source: Arc::new(error),
                },
                Kind::Defect => StoreError::Defect(Arc::new(error)),
            },
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => StoreError::Unavailable(Unavailability::Postgres(Arc::new(error))),
            _ => StoreError::Defect(Arc::new(error)),
        }
    }
}

enum Kind {
    Unavailable,
    Invalid,
    Defect,
}

fn kind_of(error: &dyn DatabaseError) -> Kind {
    let code = error.code().unwrap_or_default();
    match code.as_ref() {
        // Deadlock and serialization failure, a lock not to be had, a statement cancelled by its timeout, a
        // transaction ended for idling, a server that became a standby.
        "40001" | "40P01" | "55P03" | "57014" | "25P03" | "25006" => Kind::Unavailable,
        // A role or database that is not there (yet), or a password being rotated; a table or column that the next
        // migration brings.
        "3D000" | "42P01" | "42703" => Kind::Unavailable,
        code => match code.get(..2) {
            // Connections, authorization, resources, shutdown, the server's disk.
            Some("08" | "28" | "53" | "57" | "58") => Kind::Unavailable,
            // Values out of their type's range, constraints, values too large or too deep for Postgres.
            Some("22" | "23" | "54") => Kind::Invalid,
            _ => Kind::Defect,
        },
    }
}

impl StoreError {
    /// Tells a refusal of one item from an error that concerns the whole call.
    pub(crate) fn into_invalid_item(self) -> Result<InvalidItem, StoreError> {
        match self {
            StoreError::Invalid { message, constraint, .. } => Ok(InvalidItem { message, constraint }),
            other => Err(other),
        }
    }
}

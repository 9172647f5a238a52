//! What can go wrong.

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Why a call of the queue failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueueError {
    /// Redis is away, does not answer in time, or is in no state to serve (loading, full, a demoted replica). The
    /// same call may succeed later, and may already have succeeded without its answer arriving: every call but
    /// `claim` can be repeated without harm, and the claims of a lost answer end with their leases.
    #[error("Redis is unavailable: {0}")]
    Unavailable(#[source] RedisError),
    /// Redis and this crate do not understand each other: a defect, or a server that is too old.
    #[error("Redis did not understand the queue's script `{script}`: {source}")]
    Defect {
        /// The script's name.
        script: &'static str,
        /// What Redis or its client said.
        source: RedisError,
    },
    /// The address is not a Redis URL.
    #[error(
        "not a Redis URL such as redis://host:6379/, redis+cluster://host:6379,host:6379/ or \
         redis+sentinel://host:26379,host:26379/PRIMARY: {0}"
    )]
    InvalidUrl(#[source] RedisError),
}

impl QueueError {
    /// Whether the same call may succeed later.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, QueueError::Unavailable(_))
    }

    pub(crate) fn of_script(script: &'static str, source: RedisError) -> QueueError {
        if is_defect(&source) {
            QueueError::Defect { script, source }
        } else {
            QueueError::Unavailable(source)
        }
    }
}

/// Everything else concerns the server's state or the way to it, and passes without a change to the program.
fn is_defect(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Parse
        | ErrorKind::UnexpectedReturnType
        | ErrorKind::InvalidClientConfig
        | ErrorKind::Client => true,
        ErrorKind::Server(kind) => matches!(
            kind,
            ServerErrorKind::ResponseError
                | ServerErrorKind::ExecAbort
                | ServerErrorKind::NoScript
                | ServerErrorKind::CrossSlot
                | ServerErrorKind::NoPerm
        ),
        ErrorKind::Extension => error.code() == Some("WRONGTYPE"),
        _ => false,
    }
}

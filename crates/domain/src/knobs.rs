//! What a client may choose for a job.

use serde::{Deserialize, Serialize};

use crate::{Pool, Priority, RetryPolicy};

/// The choices of one job, the same whether it was POSTed or made with kubectl.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Knobs {
    /// The rubric's name; its newest version at acceptance is the one used.
    pub rubric: String,
    /// The pool whose scorers take the job.
    pub pool: Pool,
    /// How urgent it is.
    pub priority: Priority,
    /// Attempts after the first.
    pub retries: u32,
    /// How long to wait before the first retry, in seconds; each later one waits twice as long.
    pub backoff_seconds: u32,
    /// How long one attempt may take, in seconds.
    pub timeout_seconds: u32,
    /// How long the resource outlives the job's end, in seconds.
    pub ttl_seconds: u32,
    /// Not claimed before this time.
    pub not_before: Option<jiff::Timestamp>,
    /// Held back until a person lifts it.
    pub suspended: bool,
}

impl Knobs {
    /// The most retries a job may ask for.
    pub const MAX_RETRIES: u32 = 20;
    /// The longest first backoff, in seconds: that of any later one.
    pub const MAX_BACKOFF_SECONDS: u32 = 300;
    /// The longest timeout of one attempt, in seconds.
    pub const MAX_TIMEOUT_SECONDS: u32 = 3600;
}

impl Default for Knobs {
    fn default() -> Self {
        Knobs {
            rubric: "default".to_owned(),
            pool: Pool::default(),
            priority: Priority::default(),
            retries: RetryPolicy::default().retries,
            backoff_seconds: 2,
            timeout_seconds: 60,
            ttl_seconds: 3600,
            not_before: None,
            suspended: false,
        }
    }
}

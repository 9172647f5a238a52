//! Fencing tokens.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The fencing token of one claim. Redis hands out epochs that only rise, and Postgres refuses a write whose epoch
/// is not the row's, so a scorer that lost its lease without noticing cannot change the record.
///
/// The value is the claim's time by the Redis clock in microseconds, or one more than the epoch before it if that
/// is larger. It therefore also rises after Redis was emptied, and fits a Lua number (2^53) until the year 2255.
///
/// The technique is described in M. Kleppmann, *Designing Data-Intensive Applications* (2017), chapter 8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub i64);

impl Epoch {
    /// The epoch of a job that was never claimed.
    pub const NONE: Epoch = Epoch(0);
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

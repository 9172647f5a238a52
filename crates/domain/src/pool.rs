//! Names of scorer pools.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a pool of scorers: an RFC 1123 label, so that it can also name Kubernetes objects and stand in a
/// Redis key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pool(String);

impl Pool {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Pool {
    fn default() -> Self {
        Pool("default".to_owned())
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text cannot name a pool.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} cannot name a pool: use 1 to 63 of a-z, 0-9 and '-', beginning and ending with a letter or digit"
)]
pub struct InvalidPool(String);

impl FromStr for Pool {
    type Err = InvalidPool;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let valid = (1..=63).contains(&text.len())
            && text.chars().all(allowed)
            && !text.starts_with('-')
            && !text.ends_with('-');
        if valid { Ok(Pool(text.to_owned())) } else { Err(InvalidPool(text.to_owned())) }
    }
}

impl TryFrom<String> for Pool {
    type Error = InvalidPool;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Pool> for String {
    fn from(pool: Pool) -> Self {
        pool.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_name_pools_and_anything_else_does_not() {
        for valid in ["default", "cpu-bound", "0", &"a".repeat(63)] {
            assert!(valid.parse::<Pool>().is_ok(), "{valid}");
        }
        for invalid in ["", "-a", "a-", "A", "a b", "a}b", "ä", &"a".repeat(64)] {
            assert!(invalid.parse::<Pool>().is_err(), "{invalid}");
        }
    }
}

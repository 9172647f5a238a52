//! How urgent a job is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// 0 to 9; a higher one is claimed sooner. The default is 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Priority(u8);

impl Priority {
    /// The most urgent priority.
    pub const HIGHEST: Priority = Priority(9);

    /// The number, 0 to 9.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Priority(5)
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number is not a priority.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("priority {0} is not between 0 and 9")]
pub struct InvalidPriority(i64);

impl TryFrom<i64> for Priority {
    type Error = InvalidPriority;

    fn try_from(number: i64) -> Result<Self, Self::Error> {
        match u8::try_from(number) {
            Ok(small) if small <= Priority::HIGHEST.0 => Ok(Priority(small)),
            _ => Err(InvalidPriority(number)),
        }
    }
}

impl From<Priority> for i64 {
    fn from(priority: Priority) -> Self {
        priority.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_run_from_0_to_9() {
        assert!(Priority::try_from(0).is_ok() && Priority::try_from(9).is_ok());
        assert_eq!(Priority::try_from(10), Err(InvalidPriority(10)));
        assert_eq!(Priority::try_from(-1), Err(InvalidPriority(-1)));
    }
}

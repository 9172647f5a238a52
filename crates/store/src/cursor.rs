//! Where a page of a list ended.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use uuid::Uuid;

/// Where a page of a list ended: a time, and an id among those of that time. As text it is opaque to clients. It says
/// nothing of what was asked for, so that of another list it is a place as good as any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) at: Timestamp,
    pub(crate) id: Uuid,
}

impl Cursor {
    /// The time by which the list is ordered.
    pub fn time(&self) -> Timestamp {
        self.at
    }
}

/// The text is not a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not a cursor from an earlier page")]
pub struct InvalidCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", self.at.as_microsecond(), self.id.simple())
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (microseconds, id) = text.split_once('-').ok_or(InvalidCursor)?;
        let microseconds = i64::from_str_radix(microseconds, 16).map_err(|_| InvalidCursor)?;
        Ok(Cursor {
            at: Timestamp::from_microsecond(microseconds).map_err(|_| InvalidCursor)?,
            id: id.parse().map_err(|_| InvalidCursor)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_from_its_text() {
        let id = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
        let at = Timestamp::from_microsecond(1_790_000_000_123_456).expect("a time");
        let cursor = Cursor { at, id };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }

    #[test]
    fn anything_else_is_no_cursor() {
        for text in ["", "-", "1", "x-00000000000000000000000000000000", "ffffffffffffffff-0", "1-2"] {
            assert_eq!(text.parse::<Cursor>(), Err(InvalidCursor), "{text}");
        }
    }
}

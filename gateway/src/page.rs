//! Which page of a list is asked for.

use store::Cursor;

use crate::problem::{Code, Problem};

const DEFAULT_LIMIT: u32 = 50;
const LARGEST_LIMIT: u32 = 200;

/// Which page of a list is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AskedPage {
    /// Where the page before ended; nothing for the first.
    pub(crate) after: Option<Cursor>,
    /// The most items on it.
    pub(crate) limit: u32,
}

impl AskedPage {
    /// Out of a query's `limit` and `cursor`.
    ///
    /// # Errors
    /// What of them cannot be.
    pub(crate) fn new(limit: Option<u32>, cursor: Option<&str>) -> Result<AskedPage, Problem> {
        let invalid = |detail: String| Problem::new(Code::InvalidQuery, detail);
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=LARGEST_LIMIT).contains(&limit) {
            return Err(invalid(format!("limit {limit} is not between 1 and {LARGEST_LIMIT}.")));
        }
        let after =
            cursor.map(str::parse).transpose().map_err(|error| invalid(format!("cursor: {error}.")))?;
        Ok(AskedPage { after, limit })
    }
}

/// The longest text that a list can be narrowed by, in characters.
const LONGEST_CHOICE: usize = 253;

/// A text that a list is narrowed by.
///
/// # Errors
/// When nothing could ever match it, which is likelier a slip than meant.
pub(crate) fn choice(name: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    match &text {
        Some(given) if given.is_empty() || given.chars().count() > LONGEST_CHOICE || given.contains('\0') => {
            let detail = format!("{name} must have 1 to {LONGEST_CHOICE} characters, none of them NUL.");
            Err(Problem::new(Code::InvalidQuery, detail))
        }
        _ => Ok(text),
    }
}

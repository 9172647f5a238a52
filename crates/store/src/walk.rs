//! Pages of lists that walk an index in its order and leave out what does not match.
//!
//! How far one call walks is bounded, so that a rare match in a large table costs no more than many: the page may then be
//! short, or empty, and the next one goes on from where the walk ended.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use crate::Cursor;

/// How many rows one call looks at.
pub(crate) const LONGEST_WALK: usize = 20_000;

/// The same where their texts are searched.
pub(crate) const LONGEST_WALK_OVER_TEXTS: usize = 5_000;

/// A row that matches, or at which a walk ended that was too long.
pub(crate) struct Walked<T> {
    item: T,
    matches: bool,
    /// How many rows were looked at up to this one.
    place: i64,
}

impl<'r, T: FromRow<'r, PgRow>> FromRow<'r, PgRow> for Walked<T> {
    fn from_row(row: &'r PgRow) -> Result<Self, sqlx::Error> {
        Ok(Walked { item: T::from_row(row)?, matches: row.try_get("matches")?, place: row.try_get("place")? })
    }
}

/// A page of a list.
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// Where the next page begins, if there may be one.
    pub(crate) next: Option<Cursor>,
    /// There would be room for more, had the walk not been too long.
    pub(crate) cut_short: bool,
}

/// What came of a walk that was to find one item more than the limit.
pub(crate) fn page<T>(
    walked: Vec<Walked<T>>,
    limit: usize,
    longest: usize,
    cursor: impl Fn(&T) -> Cursor,
) -> Page<T> {
    let ended = walked.iter().find(|walked| usize::try_from(walked.place) == Ok(longest));
    let walk_ended = ended.map(|walked| cursor(&walked.item));
    let matches = walked.into_iter().filter(|walked| walked.matches);
    let mut items: Vec<T> = matches.map(|walked| walked.item).collect();
    if items.len() > limit {
        items.truncate(limit);
        let next = items.last().map(cursor);
        return Page { items, next, cut_short: false };
    }
    let cut_short = walk_ended.is_some() && items.len() < limit;
    Page { items, next: walk_ended, cut_short }
}

/// A time as a parameter. Nothing is older than 1970, and Postgres does not know every time that can be written.
pub(crate) fn moment(at: Timestamp) -> jiff_sqlx::Timestamp {
    at.max(Timestamp::UNIX_EPOCH).to_sqlx()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn walked(places: &[(i64, bool)]) -> Vec<Walked<i64>> {
        places
            .iter()
            .map(|(place, matches)| Walked { item: *place, matches: *matches, place: *place })
            .collect()
    }

    fn paged(places: &[(i64, bool)]) -> (Vec<i64>, Option<i64>, bool) {
        let cursor =
            |place: &i64| Cursor { at: Timestamp::from_second(*place).expect("a time"), id: Uuid::nil() };
        let Page { items, next, cut_short } = page(walked(places), 2, 10, cursor);
        (items, next.map(|cursor| cursor.at.as_second()), cut_short)
    }

    #[test]
    fn a_page_goes_on_after_its_last_item_or_after_the_walk() {
        assert_eq!(paged(&[]), (vec![], None, false));
        assert_eq!(paged(&[(3, true), (5, true)]), (vec![3, 5], None, false));
        assert_eq!(paged(&[(3, true), (5, true), (9, true)]), (vec![3, 5], Some(5), false));
        assert_eq!(paged(&[(3, true), (5, true), (10, false)]), (vec![3, 5], Some(10), false));
        assert_eq!(paged(&[(3, true), (10, false)]), (vec![3], Some(10), true));
        assert_eq!(paged(&[(3, true), (10, true)]), (vec![3, 10], Some(10), false));
        assert_eq!(paged(&[(10, false)]), (vec![], Some(10), true));
    }
}

//! Lists of submissions, newest first. Each [walks](crate::walk) an index.

use domain::SubmissionId;
use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use crate::walk::{LONGEST_WALK, Page, Walked, moment, page};
use crate::{Cursor, Scope, Store, StoreError, SubmissionStatus, columns};

/// Which submissions to list. Each choice narrows what the others leave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubmissionFilter {
    /// Only those of this tenant.
    pub tenant: Option<String>,
    /// Only those in this status.
    pub status: Option<SubmissionStatus>,
    /// Only those created at this time or later.
    pub from: Option<Timestamp>,
    /// Only those created before this time.
    pub until: Option<Timestamp>,
}

/// A submission without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedSubmission {
    /// Its id.
    pub id: SubmissionId,
    /// Whose it is.
    pub tenant: String,
    /// Who of the tenant handed it in, if that is known.
    pub owner: Option<String>,
    /// Whether it may still change.
    pub status: SubmissionStatus,
    /// When it was created.
    pub created_at: Timestamp,
}

/// A page of a list of submissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubmissionPage {
    /// The submissions, newest first.
    pub submissions: Vec<ListedSubmission>,
    /// Where the next page begins, if there may be one.
    pub next: Option<Cursor>,
    /// The page has fewer submissions than it could, because so many were looked at that do not match.
    pub cut_short: bool,
}

macro_rules! list {
    ($led_by:literal, $at:literal, $moment:literal) => {
        concat!(
            "SELECT s.id, s.tenant, s.owner, s.status = 'SUBMITTED' AS submitted, s.created_at, s.matches, s.place FROM (
  SELECT s.*, ($1::text IS NULL OR s.tenant = $1) AND ($2::text IS NULL OR s.status = $2)
    AND ($10::text IS NULL OR s.tenant = $10) AND ($11::text IS NULL OR s.owner = $11) AS matches
  FROM (
    SELECT s.id, s.tenant, s.owner, s.status, s.created_at, row_number() OVER (ORDER BY ",
            $at,
            " DESC, s.id DESC) AS place
    FROM submissions s WHERE ",
            $led_by,
            " AND ",
            $at,
            " >= coalesce($3::timestamptz, '-infinity')",
            $moment,
            " AND ",
            $at,
            " < coalesce($4::timestamptz, 'infinity')",
            $moment,
            " AND (",
            $at,
            ", s.id) < (coalesce($5::timestamptz, 'infinity')",
            $moment,
            ", coalesce($6::uuid, $7::uuid))
    ORDER BY ",
            $at,
            " DESC, s.id DESC LIMIT $8
  ) s
) s WHERE s.matches OR s.place = $8
ORDER BY ",
            $at,
            " DESC, s.id DESC LIMIT $9"
        )
    };
}

const OF_OWNER: &str = list!("s.tenant = $10 AND s.owner = $11", "s.created_at", "");
const OF_TENANT: &str = list!("s.tenant = coalesce($10, $1)", "s.created_at", "");
const ALL: &str = list!("TRUE", "(s.created_at AT TIME ZONE 'UTC')", " AT TIME ZONE 'UTC'");

impl FromRow<'_, PgRow> for ListedSubmission {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(ListedSubmission {
            id: row.try_get("id")?,
            tenant: row.try_get("tenant")?,
            owner: row.try_get("owner")?,
            status: SubmissionStatus::of(row.try_get("submitted")?),
            created_at: columns::timestamp(row, "created_at")?,
        })
    }
}

impl Store {
    /// A page of submissions, newest first, without their content.
    ///
    /// # Errors
    /// When Postgres does not answer, or refuses the text of a choice.
    pub async fn submissions(
        &self,
        filter: &SubmissionFilter,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<SubmissionPage, StoreError> {
        let limit = limit.max(1);
        let statement = match &self.scope {
            Scope::Owner { .. } => OF_OWNER,
            Scope::All if filter.tenant.is_none() => ALL,
            Scope::All | Scope::Tenant(_) => OF_TENANT,
        };
        let query = || {
            sqlx::query_as(statement)
                .bind(filter.tenant.as_deref())
                .bind(filter.status.map(SubmissionStatus::as_str))
                .bind(filter.from.map(moment))
                .bind(filter.until.map(moment))
                .bind(after.map(|cursor| moment(cursor.at)))
                .bind(after.map(|cursor| cursor.id))
                .bind(SubmissionId::max())
                .bind(i64::try_from(LONGEST_WALK).unwrap_or(i64::MAX))
                // One more tells whether there is a next page.
                .bind(i64::from(limit) + 1)
                .bind(self.scope.tenant())
                .bind(self.scope.owner())
        };
        let walked: Vec<Walked<ListedSubmission>> = self.listed(query).await?;
        let cursor = |submission: &ListedSubmission| Cursor { at: submission.created_at, id: submission.id };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let Page { items: submissions, next, cut_short } = page(walked, limit, LONGEST_WALK, cursor);
        Ok(SubmissionPage { submissions, next, cut_short })
    }
}

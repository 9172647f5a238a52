//! Reading what retention has moved out of the way.

use domain::JobId;
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use crate::row::job_columns;
use crate::{AttemptRow, JobDetail, Store, StoreError};

/// A job of the history, written down for other programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedJob {
    /// Its place: those with a higher one came later, whenever one asks.
    pub seq: i64,
    /// The row as a JSON object, with its `attempts`, and its place as `cursor`.
    pub line: String,
}

impl FromRow<'_, PgRow> for ExportedJob {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(ExportedJob { seq: row.try_get("seq")?, line: row.try_get("line")? })
    }
}

/// A row of the history as one of `scoring_jobs` called `j`. Columns that were added since are NULL.
macro_rules! history_row {
    () => {
        "scoring_history h CROSS JOIN LATERAL jsonb_populate_record(NULL::scoring_jobs, h.job) j"
    };
}
pub(crate) use history_row;

const JOB: &str = concat!(
    "SELECT ",
    job_columns!(),
    ", j.result FROM ",
    history_row!(),
    " WHERE h.id = $1
  AND ($2::text IS NULL OR h.tenant = $2) AND ($3::text IS NULL OR j.owner = $3)"
);

const ATTEMPTS: &str = "
SELECT a.attempt, a.lease_epoch, a.scorer, a.started_at, a.ended_at, a.outcome, a.error_code, a.message
FROM scoring_history h CROSS JOIN LATERAL jsonb_populate_recordset(NULL::scoring_attempts, h.attempts) a
WHERE h.id = $1 AND ($2::text IS NULL OR h.tenant = $2) AND ($3::text IS NULL OR h.job ->> 'owner' = $3)
ORDER BY a.lease_epoch";

const EXPORT: &str = "
SELECT seq, (job || jsonb_build_object('attempts', attempts, 'moved_at', moved_at, 'cursor', seq))::text AS line
FROM scoring_history
WHERE seq > $1 AND ($2::timestamptz IS NULL OR completed_at >= $2) AND ($3::timestamptz IS NULL OR completed_at < $3)
ORDER BY seq LIMIT $4";

impl Store {
    /// A job that has left the table of those that everything works on.
    pub(crate) async fn job_in_history(&self, id: JobId) -> Result<Option<JobDetail>, StoreError> {
        let query = sqlx::query_as(JOB).bind(id).bind(self.scope.tenant()).bind(self.scope.owner());
        self.optional(query).await
    }

    /// Its attempts.
    pub(crate) async fn attempts_in_history(&self, id: JobId) -> Result<Vec<AttemptRow>, StoreError> {
        let query = sqlx::query_as(ATTEMPTS).bind(id).bind(self.scope.tenant()).bind(self.scope.owner());
        self.all(query).await
    }

    /// A page of the history in the order in which jobs came into it, after the place given: those that ended at `from`
    /// or later and before `until`. Going on from the last one, be it days later, misses none and repeats none.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn history_page(
        &self,
        after: i64,
        from: Option<Timestamp>,
        until: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<ExportedJob>, StoreError> {
        let query = sqlx::query_as(EXPORT)
            .bind(after)
            .bind(from.map(ToSqlx::to_sqlx))
            .bind(until.map(ToSqlx::to_sqlx))
            .bind(i64::from(limit));
        self.all(query).await
    }
}

//! Showing jobs, batches and attempts.

use std::fmt;
use std::str::FromStr;

use domain::{AttemptOutcome, BatchId, Epoch, ErrorCode, JobId, JobStatus, SubmissionId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use crate::batch_counts::{batch_counts, batch_failures};
use crate::batches::batch_columns;
use crate::history::history_row;
use crate::row::job_columns;
use crate::{BatchCounts, BatchRow, JobRow, Scope, Store, StoreError, columns};

/// A job with the results of the single criteria.
#[derive(Clone, Debug, PartialEq)]
pub struct JobDetail {
    /// The job.
    pub job: JobRow,
    /// The results, of a job that is done.
    pub result: Option<serde_json::Value>,
}

/// Which jobs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Only those of this submission.
    pub submission_id: Option<SubmissionId>,
    /// Only those in this status.
    pub status: Option<JobStatus>,
    /// Only those of this tenant.
    pub tenant: Option<String>,
}

/// Where a page of the list ended. As text it is opaque to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) at: Timestamp,
    pub(crate) id: JobId,
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

/// A page of a list of jobs.
#[derive(Clone, Debug, PartialEq)]
pub struct JobPage {
    /// The jobs, newest first.
    pub jobs: Vec<JobRow>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
}

/// A batch with the counts of its members.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchDetail {
    /// The batch.
    pub batch: BatchRow,
    /// How it stands.
    pub counts: BatchCounts,
}

/// One attempt that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRow {
    /// Which, from 1. A released attempt does not count, so a number may repeat.
    pub attempt: u32,
    /// Its epoch.
    pub epoch: Epoch,
    /// Who made it.
    pub scorer: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended, or was known to have.
    pub ended_at: Timestamp,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Why it failed, for machines.
    pub error_code: Option<ErrorCode>,
    /// Why it failed, in words.
    pub message: Option<String>,
}

impl FromRow<'_, PgRow> for JobDetail {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(JobDetail { job: JobRow::from_row(row)?, result: row.try_get("result")? })
    }
}

impl FromRow<'_, PgRow> for BatchDetail {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(BatchDetail { batch: BatchRow::from_row(row)?, counts: BatchCounts::from_row(row)? })
    }
}

impl FromRow<'_, PgRow> for AttemptRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(AttemptRow {
            attempt: columns::count(row, "attempt")?,
            epoch: columns::epoch(row, "lease_epoch")?,
            scorer: row.try_get("scorer")?,
            started_at: columns::timestamp(row, "started_at")?,
            ended_at: columns::timestamp(row, "ended_at")?,
            outcome: columns::named(row, "outcome")?,
            error_code: row.try_get::<Option<String>, _>("error_code")?.map(ErrorCode::from),
            message: row.try_get("message")?,
        })
    }
}

const JOB: &str = concat!(
    "SELECT ",
    job_columns!(),
    ", j.result FROM scoring_jobs j WHERE j.id = $1
  AND ($2::text IS NULL OR j.tenant = $2) AND ($3::text IS NULL OR j.owner = $3)"
);

// Each list has an index in its order, which a single statement with optional conditions could not use.
macro_rules! list {
    ($condition:literal) => {
        concat!(
            "SELECT ",
            job_columns!(),
            " FROM scoring_jobs j WHERE ",
            $condition,
            " AND ($2::text IS NULL OR j.status = $2)
  AND ($3::text IS NULL OR j.tenant = $3)
  AND (j.created_at, j.id) < (coalesce($4::timestamptz, 'infinity'), coalesce($5::uuid, $6::uuid))
  AND ($8::text IS NULL OR j.tenant = $8) AND ($9::text IS NULL OR j.owner = $9)
ORDER BY j.created_at DESC, j.id DESC LIMIT $7"
        )
    };
}

const OF_SUBMISSION: &str = list!("j.submission_id = $1");
const OF_OWNER: &str = list!("$1::uuid IS NULL AND j.tenant = $8 AND j.owner = $9");
const OF_TENANT: &str = list!("$1::uuid IS NULL AND j.tenant = coalesce($8, $3)");
const OF_ALL: &str = list!("$1::uuid IS NULL");

// Only where a batch is shown: those that have a resource have none of their members in the history.
macro_rules! members {
    () => {
        concat!(
            "(SELECT * FROM scoring_jobs WHERE batch_id = b.id UNION ALL SELECT j.* FROM ",
            history_row!(),
            " WHERE h.batch_id = b.id)"
        )
    };
}

const BATCH: &str = concat!(
    "SELECT ",
    batch_columns!(),
    ", c.*, ",
    batch_failures!(members!()),
    " FROM scoring_batches b ",
    batch_counts!(members!()),
    " WHERE b.id = $1 AND ($2::text IS NULL OR b.tenant = $2) AND ($3::text IS NULL OR b.owner = $3)"
);

const ATTEMPTS: &str = "
SELECT a.attempt, a.lease_epoch, a.scorer, a.started_at, a.ended_at, a.outcome, a.error_code, a.message
FROM scoring_attempts a WHERE a.job_id = $1 AND ($2::text IS NULL OR EXISTS (
  SELECT FROM scoring_jobs j WHERE j.id = $1 AND j.tenant = $2 AND ($3::text IS NULL OR j.owner = $3)))
ORDER BY a.lease_epoch";

impl Store {
    /// One job, be it in the history.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn job(&self, id: JobId) -> Result<Option<JobDetail>, StoreError> {
        let query = sqlx::query_as(JOB).bind(id).bind(self.scope.tenant()).bind(self.scope.owner());
        match self.optional(query).await? {
            // Whatever leaves the one table is in the other in the same commit.
            None => self.job_in_history(id).await,
            found => Ok(found),
        }
    }

    /// A page of jobs, newest first, without those in the history.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn jobs(
        &self,
        filter: &JobFilter,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<JobPage, StoreError> {
        let statement = match (filter, &self.scope) {
            (JobFilter { submission_id: Some(_), .. }, _) => OF_SUBMISSION,
            (_, Scope::Owner { .. }) => OF_OWNER,
            (_, Scope::Tenant(_)) | (JobFilter { tenant: Some(_), .. }, _) => OF_TENANT,
            _ => OF_ALL,
        };
        let limit = limit.max(1);
        let query = sqlx::query_as(statement)
            .bind(filter.submission_id)
            .bind(filter.status.map(JobStatus::as_str))
            .bind(filter.tenant.as_deref())
            .bind(after.map(|cursor| cursor.at.to_sqlx()))
            .bind(after.map(|cursor| cursor.id))
            .bind(JobId::max())
            // One more tells whether there is a next page.
            .bind(i64::from(limit) + 1)
            .bind(self.scope.tenant())
            .bind(self.scope.owner());
        let mut jobs: Vec<JobRow> = self.all(query).await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = jobs.len() > limit;
        jobs.truncate(limit);
        let next = jobs.last().filter(|_| more).map(|job| Cursor { at: job.created_at, id: job.id });
        Ok(JobPage { jobs, next })
    }

    /// One batch.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn batch(&self, id: BatchId) -> Result<Option<BatchDetail>, StoreError> {
        self.optional(sqlx::query_as(BATCH).bind(id).bind(self.scope.tenant()).bind(self.scope.owner())).await
    }

    /// The attempts of a job that have ended, in their order, be it in the history.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn attempts(&self, job: JobId) -> Result<Vec<AttemptRow>, StoreError> {
        let attempts: Vec<AttemptRow> = self
            .all(sqlx::query_as(ATTEMPTS).bind(job).bind(self.scope.tenant()).bind(self.scope.owner()))
            .await?;
        if attempts.is_empty() { self.attempts_in_history(job).await } else { Ok(attempts) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_from_its_text() {
        let id = JobId::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
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

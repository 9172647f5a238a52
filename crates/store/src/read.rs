//! Showing jobs, batches and attempts.

use domain::{AttemptOutcome, BatchId, Epoch, ErrorCode, JobId};
use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use crate::batch_counts::{batch_counts, batch_failures};
use crate::batches::batch_columns;
use crate::row::job_columns;
use crate::{BatchCounts, BatchRow, JobRow, Store, StoreError, Version, columns};

/// A job with the results of the single criteria.
#[derive(Clone, Debug, PartialEq)]
pub struct JobDetail {
    /// The job.
    pub job: JobRow,
    /// The results, of a job that is done.
    pub result: Option<serde_json::Value>,
}

impl JobDetail {
    /// Which state of the job this is.
    pub fn version(&self) -> Version {
        let JobRow { version: number, priority, status, .. } = &self.job;
        Version { number: *number, priority: priority.get(), ended: !status.is_active() }
    }
}

impl BatchDetail {
    /// Whether all members are there that were accepted.
    fn is_whole(&self) -> bool {
        let BatchCounts { queued, running, done, error, .. } = self.counts;
        queued + running + done + error == self.batch.accepted()
    }

    /// Which state of the batch this is.
    pub fn version(&self) -> Version {
        let (number, ended) = (self.counts.version, self.counts.is_complete());
        Version { number, priority: self.batch.knobs.priority.get(), ended }
    }
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

// Only where a batch is shown: those that have a resource have none of their members in the history.
macro_rules! members {
    () => {
        concat!(
            "(SELECT * FROM scoring_jobs WHERE batch_id = b.id UNION ALL SELECT j.* FROM ",
            crate::history::history_row!(),
            " WHERE h.batch_id = b.id)"
        )
    };
}
pub(crate) use members;

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

    /// One batch. None that has ended and lacks members: they were deleted from the history, and what is left says nothing true.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn batch(&self, id: BatchId) -> Result<Option<BatchDetail>, StoreError> {
        let query = sqlx::query_as(BATCH).bind(id).bind(self.scope.tenant()).bind(self.scope.owner());
        let found: Option<BatchDetail> = self.optional(query).await?;
        Ok(found.filter(|found| !found.counts.is_complete() || found.is_whole()))
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

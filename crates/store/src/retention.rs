//! Retention: what has ended long ago leaves the tables that everything works on.

use std::time::Duration;

use domain::{JobId, SubmissionId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use crate::{Store, StoreError, columns};

/// How far a walk over the ended jobs of a tenant has come: to the job accepted at this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retired {
    created_at: Timestamp,
    id: JobId,
    /// How many jobs the last call moved.
    pub jobs: u64,
}

/// How far a walk over submissions has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DroppedSubmissions {
    /// The last one that was looked at.
    pub last: SubmissionId,
    /// How many the last call deleted.
    pub deleted: u64,
}

/// What came of the wish to move jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retirement {
    /// Some were moved; there may be more after these.
    Moved(Retired),
    /// There are no more.
    Done,
    /// Another process is moving jobs at this moment. Nothing was waited for.
    AnotherMoves,
}

// One process at a time (a lock of the transaction, so a pooler may stand in between), which is what lets `seq` say the
// order in which jobs came to be in the history. Who holds a row is about to change it, and it can wait for the next pass.
//
// Whose resource may still have to show something, or is counted in its batch's, stays. A constraint is looked at when the
// statement ends, so the order in which rows go does not matter.
const RETIRE: &str = "
WITH turn AS MATERIALIZED (
  SELECT pg_try_advisory_xact_lock(hashtextextended('assay retention', 0)) AS mine
), due AS (
  SELECT j.id, j.created_at FROM scoring_jobs j
  WHERE (SELECT mine FROM turn) AND j.tenant = $1 AND j.created_at <= now() - $2 * INTERVAL '1 millisecond'
    AND (j.created_at, j.id) > (coalesce($3::timestamptz, '-infinity'), coalesce($4::uuid, $5::uuid))
    AND j.completed_at <= now() - $2 * INTERVAL '1 millisecond' AND j.status IN ('DONE', 'ERROR')
    AND (j.resource_kind = 'none' OR (j.resource_kind = 'batch'
      AND EXISTS (SELECT FROM scoring_batches b WHERE b.id = ANY (ARRAY[j.batch_id]) AND b.resource_kind = 'none')))
  ORDER BY j.created_at, j.id LIMIT $6 FOR UPDATE OF j SKIP LOCKED
), unqueued AS (
  DELETE FROM scoring_unqueued u USING due WHERE u.job_id = ANY (ARRAY[due.id])
), attempts AS (
  DELETE FROM scoring_attempts a USING due WHERE a.job_id = ANY (ARRAY[due.id]) RETURNING a.*
), jobs AS (
  DELETE FROM scoring_jobs j USING due WHERE j.id = ANY (ARRAY[due.id]) RETURNING j.*
), moved AS (
  INSERT INTO scoring_history (id, tenant, submission_id, batch_id, status, completed_at, job, attempts)
  SELECT j.id, j.tenant, j.submission_id, j.batch_id, j.status, j.completed_at, to_jsonb(j),
    coalesce(a.list, '[]')
  FROM jobs j LEFT JOIN (
    SELECT job_id, jsonb_agg(to_jsonb(attempts) - 'job_id' ORDER BY lease_epoch) AS list
    FROM attempts GROUP BY job_id
  ) a ON a.job_id = j.id
  ORDER BY j.created_at, j.id
  RETURNING id
)
SELECT turn.mine, (SELECT count(*) FROM moved) AS jobs, last.created_at, last.id
FROM turn LEFT JOIN (SELECT created_at, id FROM due ORDER BY created_at DESC, id DESC LIMIT 1) last ON TRUE";

const NEXT_TENANT: &str = "SELECT min(tenant) FROM scoring_jobs WHERE $1::text IS NULL OR tenant > $1";

const DROP_HISTORY: &str = "
WITH due AS (
  SELECT id FROM scoring_history WHERE completed_at <= now() - $1 * INTERVAL '1 millisecond'
  ORDER BY completed_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
DELETE FROM scoring_history h USING due WHERE h.id = ANY (ARRAY[due.id])";

// What was never scored waits for it, however old it is. A submission that a job is being accepted for at this moment is held by its foreign key, and passed over.
const DROP_SUBMISSIONS: &str = "
WITH page AS (
  SELECT id, status, created_at FROM submissions WHERE id > $2 ORDER BY id LIMIT $3
), due AS (
  SELECT s.id FROM page JOIN submissions s ON s.id = ANY (ARRAY[page.id])
  WHERE page.status = 'SUBMITTED' AND page.created_at <= now() - $1 * INTERVAL '1 millisecond'
    AND NOT EXISTS (SELECT FROM scoring_jobs j WHERE j.submission_id = page.id OFFSET 0)
    AND EXISTS (SELECT FROM scoring_history h WHERE h.submission_id = page.id OFFSET 0)
  FOR UPDATE OF s SKIP LOCKED
), deleted AS (
  DELETE FROM submissions s USING due WHERE s.id = ANY (ARRAY[due.id]) RETURNING s.id
)
SELECT last.id, (SELECT count(*) FROM deleted) AS deleted
FROM (SELECT id FROM page ORDER BY id DESC LIMIT 1) last";

struct Answer {
    mine: bool,
    retired: Option<Retired>,
}

impl FromRow<'_, PgRow> for Answer {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let jobs: i64 = row.try_get("jobs")?;
        let last =
            columns::optional_timestamp(row, "created_at")?.zip(row.try_get::<Option<JobId>, _>("id")?);
        let retired = last.map(|(created_at, id)| Retired { created_at, id, jobs: jobs.unsigned_abs() });
        Ok(Answer { mine: row.try_get("mine")?, retired })
    }
}

impl FromRow<'_, PgRow> for DroppedSubmissions {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let deleted: i64 = row.try_get("deleted")?;
        Ok(DroppedSubmissions { last: row.try_get("id")?, deleted: deleted.unsigned_abs() })
    }
}

impl Store {
    /// The first tenant after the one given that has jobs.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn next_tenant(&self, after: Option<&str>) -> Result<Option<String>, StoreError> {
        let row: Option<(Option<String>,)> = self.optional(sqlx::query_as(NEXT_TENANT).bind(after)).await?;
        Ok(row.and_then(|(tenant,)| tenant))
    }

    /// Moves jobs of a tenant that ended at least this long ago, with their attempts, into the history: the oldest
    /// first, after those of an earlier call, and only those that no resource shows any more. One statement, hence all
    /// or nothing: after an error the next call goes on with whatever is left.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn retire(
        &self,
        tenant: &str,
        age: Duration,
        after: Option<Retired>,
        limit: u32,
    ) -> Result<Retirement, StoreError> {
        let query = sqlx::query_as(RETIRE)
            .bind(tenant)
            .bind(columns::to_milliseconds(age))
            .bind(after.map(|after| after.created_at.to_sqlx()))
            .bind(after.map(|after| after.id))
            .bind(JobId::nil())
            .bind(i64::from(limit));
        let row: Option<Answer> = self.optional(query).await?;
        Ok(match row {
            Some(Answer { mine: true, retired }) => retired.map_or(Retirement::Done, Retirement::Moved),
            _ => Retirement::AnotherMoves,
        })
    }

    /// Deletes jobs from the history that ended at least this long ago. Returns how many.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn drop_history(&self, age: Duration, limit: u32) -> Result<u64, StoreError> {
        let query = sqlx::query(DROP_HISTORY).bind(columns::to_milliseconds(age)).bind(i64::from(limit));
        self.execute(query).await
    }

    /// Deletes submissions that were created at least this long ago and have no job but in the history, among the next
    /// ones after the one given. Those that were never submitted stay. Nothing when there are no more to look at.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn drop_submissions(
        &self,
        age: Duration,
        after: Option<SubmissionId>,
        limit: u32,
    ) -> Result<Option<DroppedSubmissions>, StoreError> {
        let query = sqlx::query_as(DROP_SUBMISSIONS)
            .bind(columns::to_milliseconds(age))
            .bind(after.unwrap_or(SubmissionId::nil()))
            .bind(i64::from(limit));
        self.optional(query).await
    }
}

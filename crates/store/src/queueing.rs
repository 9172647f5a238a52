//! What the queue on Redis is to hold, as Postgres knows it.

use std::time::Duration;

use domain::{BatchId, Epoch, JobId, Pool, Rank, SubmissionId};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use crate::{Store, StoreError, columns};

/// A job as the queue has to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToQueue {
    /// The job.
    pub job: JobId,
    /// Its pool.
    pub pool: Pool,
    /// Its place among those that wait.
    pub rank: Rank,
    /// How long it is still to be kept back.
    pub delay: Duration,
    /// The row's epoch, a floor for those still to be handed out.
    pub epoch: Epoch,
    /// It is running under that epoch, so it belongs among the leases.
    pub leased: bool,
    /// The W3C trace context of the request that made it.
    pub traceparent: Option<String>,
}

impl FromRow<'_, PgRow> for ToQueue {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(ToQueue {
            job: row.try_get("id")?,
            pool: columns::pool(row, "pool")?,
            rank: columns::rank(row)?,
            delay: columns::milliseconds(row, "delay_ms")?,
            epoch: columns::epoch(row, "lease_epoch")?,
            leased: row.try_get("leased")?,
            traceparent: row.try_get("traceparent")?,
        })
    }
}

/// The columns of a [`ToQueue`], of a table called `j`.
macro_rules! to_queue_columns {
    () => {
        "j.id, j.tenant, j.pool, j.priority, j.created_at, j.lease_epoch, j.status = 'RUNNING' AS leased, \
         j.traceparent, ceil(extract(epoch FROM j.not_before - now()) * 1000)::bigint AS delay_ms"
    };
}

// In the order of the ids, which for the gateway's is that of age. What needs no queueing any more is forgotten,
// unless it was noted anew at this very moment.
const UNQUEUED: &str = concat!(
    "WITH page AS (
  SELECT u.since, j.* FROM scoring_unqueued u JOIN scoring_jobs j ON j.id = ANY (ARRAY[u.job_id])
  WHERE u.since <= now() - $2 * INTERVAL '1 millisecond'
  ORDER BY u.job_id LIMIT $1
), forgotten AS (
  DELETE FROM scoring_unqueued u USING page
  WHERE u.job_id = ANY (ARRAY[page.id]) AND u.since = page.since AND (page.status <> 'QUEUED' OR page.suspended)
)
SELECT ",
    to_queue_columns!(),
    " FROM page j WHERE j.status = 'QUEUED' AND NOT j.suspended"
);

const UNQUEUED_OF_BATCH: &str = concat!(
    "SELECT ",
    to_queue_columns!(),
    " FROM scoring_jobs j JOIN LATERAL (SELECT FROM scoring_unqueued WHERE job_id = j.id OFFSET 0) u ON TRUE
WHERE j.batch_id = $1 AND j.status = 'QUEUED' AND NOT j.suspended LIMIT $2"
);

// Whoever holds one of these rows is about to do the same.
const MARK_QUEUED: &str = "
WITH held AS (
  SELECT job_id FROM scoring_unqueued WHERE job_id = ANY($1) FOR UPDATE SKIP LOCKED
)
DELETE FROM scoring_unqueued u USING held WHERE u.job_id = ANY (ARRAY[held.job_id])
RETURNING extract(epoch FROM clock_timestamp() - u.since)::double precision AS waited";

/// How long a job waited to be queued.
struct Waited(Duration);

impl FromRow<'_, PgRow> for Waited {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Waited(columns::seconds(row, "waited")?))
    }
}

// In the order of the index of active jobs.
const ACTIVE_PAGE: &str = concat!(
    "SELECT ",
    to_queue_columns!(),
    " FROM scoring_jobs j
WHERE j.pool = $1 AND j.completed_at IS NULL AND (j.status = 'RUNNING' OR NOT j.suspended)
  AND j.submission_id > coalesce((SELECT submission_id FROM scoring_jobs WHERE id = $2), $3)
ORDER BY j.submission_id LIMIT $4"
);

const ACTIVE_OF: &str = concat!(
    "SELECT ",
    to_queue_columns!(),
    " FROM scoring_jobs j
WHERE j.id = ANY($1) AND (j.status = 'RUNNING' OR j.status = 'QUEUED' AND NOT j.suspended)"
);

const ACTIVE_POOLS: &str = "SELECT DISTINCT pool FROM scoring_jobs WHERE completed_at IS NULL";

struct PoolName(Pool);

impl FromRow<'_, PgRow> for PoolName {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        columns::pool(row, "pool").map(PoolName)
    }
}

impl Store {
    /// Jobs that wait and are not known to be on Redis, accepted (or no longer held back) at least
    /// this long ago. A page may be smaller than it could be; only an empty one means that there are no more.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn unqueued(&self, limit: u32, older_than: Duration) -> Result<Vec<ToQueue>, StoreError> {
        let query =
            sqlx::query_as(UNQUEUED).bind(i64::from(limit)).bind(columns::to_milliseconds(older_than));
        self.all(query).await
    }

    /// Members of a batch that wait and are not known to be on Redis.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn unqueued_of_batch(&self, batch: BatchId, limit: u32) -> Result<Vec<ToQueue>, StoreError> {
        self.all(sqlx::query_as(UNQUEUED_OF_BATCH).bind(batch).bind(i64::from(limit))).await
    }

    /// Notes that these jobs are on Redis. Call it after they are. Returns, of each of which that was not known, how long
    /// ago it was accepted (or no longer held back); those that somebody else is noting right now are left out.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn mark_queued(&self, jobs: &[JobId]) -> Result<Vec<Duration>, StoreError> {
        let noted: Vec<Waited> = self.all(sqlx::query_as(MARK_QUEUED).bind(jobs)).await?;
        Ok(noted.into_iter().map(|Waited(waited)| waited).collect())
    }

    /// The jobs of a pool that belong on Redis, in an order of their own, after the one given: to rebuild or audit it.
    /// Jobs that are held back do not, those not yet known to be on Redis do.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn active_page(
        &self,
        pool: &Pool,
        after: Option<JobId>,
        limit: u32,
    ) -> Result<Vec<ToQueue>, StoreError> {
        let query = sqlx::query_as(ACTIVE_PAGE)
            .bind(pool.as_str())
            .bind(after)
            .bind(SubmissionId::nil())
            .bind(i64::from(limit));
        self.all(query).await
    }

    /// The pools that have jobs which belong on Redis, configured or not.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn active_pools(&self) -> Result<Vec<Pool>, StoreError> {
        let pools: Vec<PoolName> = self.all(sqlx::query_as(ACTIVE_POOLS)).await?;
        Ok(pools.into_iter().map(|PoolName(pool)| pool).collect())
    }

    /// Those of these jobs that belong on Redis, in no order. The others are to be taken off it.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn active_of(&self, jobs: &[JobId]) -> Result<Vec<ToQueue>, StoreError> {
        self.all(sqlx::query_as(ACTIVE_OF).bind(jobs)).await
    }
}

//! Relaying what was accepted over HTTP to Kubernetes: by one gateway at a time.

use std::collections::BTreeMap;

use domain::{BatchId, JobId, SubmissionId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgConnection, Row};
use uuid::Uuid;

use crate::batches::{BatchRow, batch_columns};
use crate::connection::Leased;
use crate::row::job_columns;
use crate::{JobRow, Store, StoreError, columns};

/// The turn to relay. It lasts until it is dropped or [`Relay::end`]ed; take one for each round of relaying, not for
/// the life of the process.
///
/// What a round does is safe without it, for example when the turn was lost to a pause: every change applies only to
/// what is not mirrored yet. The turn merely spares gateways from doing the same work at once. So it is a transaction
/// that holds nothing but an advisory lock, and the changes commit one by one beside it: a gateway that stalls holds
/// up no scorer, and a crash leaves work that is found again.
pub struct Relay {
    guard: Leased,
    store: Store,
}

/// How much there is to relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayCounts {
    /// Jobs that have a resource of their own.
    pub live: u64,
    /// Jobs that wait for one.
    pub waiting: u64,
}

/// A job whose resource was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirroredJob {
    /// The job, which is also the resource's name.
    pub job: JobId,
    /// The resource's `metadata.uid`, if the answer to its creation said so.
    pub uid: Option<Uuid>,
}

/// A batch whose resource is to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchToMirror {
    /// The batch.
    pub batch: BatchRow,
    /// The submissions of its members, in the order of the jobs.
    pub submission_ids: Vec<SubmissionId>,
}

/// The most members of one batch.
pub const BATCH_LIMIT: usize = 1_000;

/// Who idles longer in its turn loses it.
const TAKE_TURN: &str = "
SELECT pg_try_advisory_xact_lock(hashtextextended('assay relay', 0)),
  set_config('idle_in_transaction_session_timeout', '60s', TRUE)";

const WAITING: &str = concat!(
    "SELECT ",
    job_columns!(),
    " FROM scoring_jobs j WHERE resource_kind IS NULL
ORDER BY created_at, id LIMIT $1"
);

const COUNTS: &str = "
SELECT (SELECT count(*) FROM scoring_jobs WHERE resource_kind = 'job'),
  (SELECT count(*) FROM (
    SELECT 1 FROM scoring_jobs WHERE resource_kind IS NULL LIMIT $1) w)";

// The operator's watch may have seen the resource first and have bound it. A job that ended while its resource was
// made is mirrored nevertheless.
const MARK_MIRRORED: &str = "
WITH item AS (
  SELECT * FROM unnest($1::uuid[], $2::uuid[]) AS t (job, uid)
), held AS (
  SELECT j.id, i.uid FROM item i JOIN scoring_jobs j ON j.id = ANY (ARRAY[i.job])
  WHERE j.resource_uid IS NULL AND coalesce(j.resource_kind, 'none') = 'none'
  ORDER BY i.job FOR NO KEY UPDATE OF j
)
UPDATE scoring_jobs j SET resource_kind = 'job', resource_namespace = $3, resource_name = j.id::text,
  resource_uid = held.uid
FROM held WHERE j.id = ANY (ARRAY[held.id])";

const MOVE_TO_BATCH: &str = concat!(
    "WITH held AS (
  SELECT id FROM scoring_jobs
  WHERE id = ANY($2) AND coalesce(resource_kind, '') = ''
  ORDER BY id FOR NO KEY UPDATE
), b AS (
  INSERT INTO scoring_batches (id, tenant, origin, rubric, pool, priority, max_attempts, timeout_seconds,
    ttl_seconds, not_before, suspended, backoff_seconds, total)
  SELECT $1, $3, 'overflow', $4, $5, $6, $7, $8, $9, $10, $11, $12, count(*) FROM held HAVING count(*) > 0
  RETURNING *
), moved AS (
  UPDATE scoring_jobs j SET batch_id = $1, resource_kind = 'batch' FROM held WHERE j.id = ANY (ARRAY[held.id])
)
SELECT ",
    batch_columns!(),
    " FROM b"
);

const UNMIRRORED_BATCHES: &str = concat!(
    "SELECT ",
    batch_columns!(),
    ", ARRAY(SELECT m.submission_id
  FROM (SELECT id, submission_id FROM scoring_jobs WHERE batch_id = b.id OFFSET 0) m ORDER BY m.id) AS submission_ids
FROM scoring_batches b WHERE b.resource_kind IS NULL ORDER BY b.created_at, b.id LIMIT $1"
);

const MARK_BATCH_MIRRORED: &str = "
UPDATE scoring_batches SET resource_kind = 'batch', resource_namespace = $2, resource_name = $3,
  resource_uid = coalesce($4, resource_uid)
WHERE id = $1 AND resource_kind IS NULL";

impl FromRow<'_, PgRow> for BatchToMirror {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(BatchToMirror { batch: BatchRow::from_row(row)?, submission_ids: row.try_get("submission_ids")? })
    }
}

impl Store {
    /// Takes the turn to relay; nothing when another gateway has it.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn begin_relay(&self) -> Result<Option<Relay>, StoreError> {
        self.within_deadline(async {
            let mut guard = self.lease().await?;
            let taken = take_turn(&mut guard).await;
            match taken {
                Ok(true) => Ok(Some(Relay { guard, store: self.clone() })),
                Ok(false) => guard.give_back_after(Ok(None)).await,
                Err(error) => Err(error.into()),
            }
        })
        .await
    }
}

async fn take_turn(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query("BEGIN").execute(&mut *connection).await?;
    let (taken, _): (bool, String) = sqlx::query_as(TAKE_TURN).fetch_one(&mut *connection).await?;
    if !taken {
        sqlx::query("ROLLBACK").execute(&mut *connection).await?;
    }
    Ok(taken)
}

impl Relay {
    /// Gives the turn to whoever asks next.
    ///
    /// # Errors
    /// When Postgres does not answer. The turn has ended nevertheless.
    pub async fn end(self) -> Result<(), StoreError> {
        let Relay { mut guard, store } = self;
        store
            .within_deadline(async {
                let ended = sqlx::query("COMMIT").execute(&mut *guard).await;
                guard.give_back_after(ended).await.map(drop)
            })
            .await
    }

    /// Jobs that wait for a resource, oldest first.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn waiting(&self, limit: u32) -> Result<Vec<JobRow>, StoreError> {
        self.store.all(sqlx::query_as(WAITING).bind(i64::from(limit))).await
    }

    /// How many resources of jobs there are, and how many jobs wait for one, counted up to `waiting_up_to`.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn counts(&self, waiting_up_to: u32) -> Result<RelayCounts, StoreError> {
        let row: Option<(i64, i64)> =
            self.store.optional(sqlx::query_as(COUNTS).bind(i64::from(waiting_up_to))).await?;
        let (live, waiting) = row.unwrap_or_default();
        Ok(RelayCounts { live: live.unsigned_abs(), waiting: waiting.unsigned_abs() })
    }

    /// Notes that the resources of these jobs are there. Call it after they are.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn mark_mirrored(&self, jobs: &[MirroredJob], namespace: &str) -> Result<(), StoreError> {
        let ids: Vec<Uuid> = jobs.iter().map(|mirrored| mirrored.job).collect();
        let uids: Vec<Option<Uuid>> = jobs.iter().map(|mirrored| mirrored.uid).collect();
        let query = sqlx::query(MARK_MIRRORED).bind(ids).bind(uids).bind(namespace);
        self.store.execute(query).await.map(drop)
    }

    /// Gathers waiting jobs into batches, one for each combination of knobs and tenant, of at most [`BATCH_LIMIT`]
    /// members. Jobs that are due within the same hour go together, and their batch names the earliest of these times.
    /// Jobs that are not waiting any more stay out. The batches still need their resources.
    ///
    /// At most so many are made, of what has waited longest: what is left goes on gathering, so that jobs of many kinds do not
    /// become a resource each. Returns each batch with the jobs that it was made of.
    ///
    /// # Errors
    /// When Postgres does not answer. Some batches may have been made.
    pub async fn move_to_batch<'j>(
        &self,
        jobs: &'j [JobRow],
        at_most: usize,
    ) -> Result<Vec<(BatchRow, Vec<&'j JobRow>)>, StoreError> {
        let mut alike: BTreeMap<_, Vec<&JobRow>> = BTreeMap::new();
        for job in jobs {
            alike.entry(likeness(job)).or_default().push(job);
        }
        let mut groups: Vec<Vec<&JobRow>> = alike.into_values().collect();
        groups.sort_by_key(|group| group.iter().map(|job| (job.created_at, job.id)).min());
        let mut batches = Vec::new();
        for group in groups.iter().flat_map(|group| group.chunks(BATCH_LIMIT)).take(at_most) {
            batches.extend(self.make_batch(group).await?.map(|batch| (batch, group.to_vec())));
        }
        Ok(batches)
    }

    async fn make_batch(&self, jobs: &[&JobRow]) -> Result<Option<BatchRow>, StoreError> {
        let Some(first) = jobs.first() else {
            return Ok(None);
        };
        let ids: Vec<Uuid> = jobs.iter().map(|job| job.id).collect();
        let query = sqlx::query_as(MOVE_TO_BATCH)
            .bind(BatchId::now_v7())
            .bind(ids)
            .bind(&first.tenant)
            .bind(&first.rubric)
            .bind(first.pool.as_str())
            .bind(i16::from(first.priority.get()))
            .bind(columns::to_integer(first.max_attempts))
            .bind(columns::to_integer(first.timeout_seconds))
            .bind(columns::to_integer(first.ttl_seconds))
            .bind(jobs.iter().filter_map(|job| asked_not_before(job)).min().map(ToSqlx::to_sqlx))
            .bind(first.suspended)
            .bind(columns::to_integer(first.backoff_seconds));
        self.store.optional(query).await
    }

    /// Batches that wait for their resource, oldest first.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn unmirrored_batches(&self, limit: u32) -> Result<Vec<BatchToMirror>, StoreError> {
        self.store.all(sqlx::query_as(UNMIRRORED_BATCHES).bind(i64::from(limit))).await
    }

    /// Notes that a batch's resource is there, of this name. Call it after it is.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn mark_batch_mirrored(
        &self,
        batch: BatchId,
        namespace: &str,
        name: &str,
        uid: Option<Uuid>,
    ) -> Result<(), StoreError> {
        let query = sqlx::query(MARK_BATCH_MIRRORED).bind(batch).bind(namespace).bind(name).bind(uid);
        self.store.execute(query).await.map(drop)
    }
}

/// What the jobs of one batch have in common.
fn likeness(job: &JobRow) -> impl Ord + use<> {
    (
        (job.tenant.clone(), job.rubric.clone(), job.pool.clone(), job.priority),
        (job.max_attempts, job.backoff_seconds, job.timeout_seconds, job.ttl_seconds, job.suspended),
        // Jobs that are due one after the other would otherwise be a batch each.
        asked_not_before(job).map(|time| time.as_second().div_euclid(3600)),
    )
}

/// The time asked for. That of a job tried before is its own retry's.
fn asked_not_before(job: &JobRow) -> Option<Timestamp> {
    job.not_before.filter(|_| job.attempt == 0)
}

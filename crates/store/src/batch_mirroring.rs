//! Keeping the resources of batches up to date, and letting go of them.

use domain::BatchId;
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use crate::batch_counts::{batch_counts, batch_failures};
use crate::batches::batch_columns;
use crate::resources::MutableKnobs;
use crate::row::job_columns;
use crate::{BatchCounts, BatchRow, JobRow, ResourceRef, Store, StoreError, columns};

/// A batch whose resource shows counts that are out of date.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangedBatch {
    /// The batch.
    pub batch: BatchRow,
    /// How it stands.
    pub counts: BatchCounts,
    /// Its resource.
    pub resource: ResourceRef,
    /// Stands for these counts; to be handed back once they are shown.
    pub digest: String,
}

/// A batch whose resource shows these counts now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownBatch {
    /// The batch.
    pub batch: BatchId,
    /// The `metadata.uid` of the resource. What a batch's earlier resource showed says nothing about this one.
    pub resource_uid: Uuid,
    /// [`ChangedBatch::digest`].
    pub digest: String,
    /// [`BatchCounts::completed_at`]. A complete batch never changes again.
    pub completed_at: Option<Timestamp>,
}

impl ChangedBatch {
    /// As it is once its resource shows these counts.
    pub fn shown(&self) -> ShownBatch {
        ShownBatch {
            batch: self.batch.id,
            resource_uid: self.resource.uid,
            digest: self.digest.clone(),
            completed_at: self.counts.completed_at,
        }
    }
}

/// A batch and the resource it is thought to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveBatch {
    /// The batch.
    pub batch: BatchId,
    /// The resource's namespace.
    pub namespace: String,
    /// The resource's name.
    pub name: String,
    /// The resource's `metadata.uid`; unknown until it was seen.
    pub uid: Option<Uuid>,
}

/// Whether a resource is that of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum BatchBinding {
    /// It is this batch's.
    Bound(Box<BatchRow>),
    /// The batch has or had another resource.
    OtherResource,
    /// There is no such batch.
    Unknown,
}

impl FromRow<'_, PgRow> for ChangedBatch {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(ChangedBatch {
            batch: BatchRow::from_row(row)?,
            counts: BatchCounts::from_row(row)?,
            resource: ResourceRef {
                namespace: row.try_get("resource_namespace")?,
                name: row.try_get("resource_name")?,
                uid: row.try_get("resource_uid")?,
            },
            digest: row.try_get("digest")?,
        })
    }
}

impl FromRow<'_, PgRow> for LiveBatch {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(LiveBatch {
            batch: row.try_get("id")?,
            namespace: row.try_get("resource_namespace")?,
            name: row.try_get("resource_name")?,
            uid: row.try_get("resource_uid")?,
        })
    }
}

const UNFINISHED_PAGE: &str = "
SELECT id FROM scoring_batches
WHERE resource_kind = 'batch' AND resource_uid IS NOT NULL AND completed_at IS NULL AND id > $1
ORDER BY id LIMIT $2";

const CHANGED: &str = concat!(
    "SELECT ",
    batch_columns!(),
    ", b.resource_namespace, b.resource_name, b.resource_uid, d.digest, c.*, ",
    batch_failures!(),
    " FROM scoring_batches b ",
    batch_counts!(),
    " CROSS JOIN LATERAL (SELECT concat_ws('/', c.queued, c.running, c.done, c.error) AS digest) d
WHERE b.id = ANY($1) AND b.resource_kind = 'batch' AND b.resource_uid IS NOT NULL AND b.mirrored_digest IS DISTINCT FROM d.digest"
);

const MARK_SHOWN: &str = "
WITH held AS (
  SELECT b.id, i.digest, i.completed_at
  FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[]) AS i (batch, uid, digest, completed_at)
  JOIN scoring_batches b ON b.id = ANY (ARRAY[i.batch]) AND b.resource_uid = i.uid
  ORDER BY i.batch FOR NO KEY UPDATE OF b
)
UPDATE scoring_batches b SET mirrored_digest = held.digest, mirrored_at = now(), completed_at = held.completed_at
FROM held WHERE b.id = ANY (ARRAY[held.id])";

const EXPIRED: &str = "
SELECT id, resource_namespace, resource_name, resource_uid FROM scoring_batches
WHERE resource_kind = 'batch' AND completed_at + ttl_seconds * INTERVAL '1 second' <= now() AND id > $1
ORDER BY id LIMIT $2";

const LIVE_PAGE: &str = "
SELECT id, resource_namespace, resource_name, resource_uid FROM scoring_batches
WHERE resource_kind = 'batch' AND id > $1 ORDER BY id LIMIT $2";

const RESOURCE_GONE: &str = "
UPDATE scoring_batches SET resource_kind = 'none' WHERE id = ANY($1) AND resource_kind = 'batch'";

// A resource that is there although it was thought to be gone is its batch's again.
const BIND: &str = "
UPDATE scoring_batches SET resource_kind = 'batch', resource_namespace = $2, resource_name = $3, resource_uid = $4
WHERE id = $1 AND (resource_uid IS NULL OR (resource_uid = $4 AND resource_kind = 'none'))";

const FIND: &str = concat!(
    "SELECT ",
    batch_columns!(),
    ", b.resource_uid = $2 AS bound FROM scoring_batches b WHERE b.id = $1"
);

const APPLY_KNOBS: &str = "
UPDATE scoring_batches SET priority = $2, suspended = $3, ttl_seconds = $4
WHERE id = $1 AND (priority, suspended, ttl_seconds) IS DISTINCT FROM ($2, $3, $4)";

// Runs whether or not the batch's row needed to change: a call that got half-way is completed by the next.
const APPLY_KNOBS_TO_MEMBERS: &str = concat!(
    "WITH held AS (
  SELECT id, status = 'QUEUED' AND suspended AND NOT $3 AS resumed FROM scoring_jobs
  WHERE id = ANY (ARRAY(SELECT id FROM scoring_jobs WHERE batch_id = $1)) AND status IN ('QUEUED', 'RUNNING')
    AND (priority, suspended) IS DISTINCT FROM ($2, $3)
  ORDER BY id FOR NO KEY UPDATE
), unqueued AS (
  INSERT INTO scoring_unqueued (job_id) SELECT id FROM held WHERE resumed
  ON CONFLICT (job_id) DO UPDATE SET since = excluded.since
)
UPDATE scoring_jobs j SET priority = $2, suspended = $3 FROM held WHERE j.id = ANY (ARRAY[held.id])
RETURNING ",
    job_columns!()
);

struct Found {
    batch: BatchRow,
    bound: Option<bool>,
}

impl FromRow<'_, PgRow> for Found {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Found { batch: BatchRow::from_row(row)?, bound: row.try_get("bound")? })
    }
}

impl Store {
    /// Batches that have a resource which was not shown complete yet, by id, after the one given.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn unfinished_batches_page(
        &self,
        after: Option<BatchId>,
        limit: u32,
    ) -> Result<Vec<BatchId>, StoreError> {
        let query =
            sqlx::query_as(UNFINISHED_PAGE).bind(after.unwrap_or(BatchId::nil())).bind(i64::from(limit));
        let batches: Vec<(BatchId,)> = self.all(query).await?;
        Ok(batches.into_iter().map(|(batch,)| batch).collect())
    }

    /// Those of these batches whose resource shows other counts than their members have now. All their members are
    /// counted.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn batches_changed(&self, batches: &[BatchId]) -> Result<Vec<ChangedBatch>, StoreError> {
        self.all(sqlx::query_as(CHANGED).bind(batches)).await
    }

    /// Notes what the resources of batches show.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn mark_batch_status_mirrored(&self, shown: &[ShownBatch]) -> Result<(), StoreError> {
        let batches: Vec<Uuid> = shown.iter().map(|shown| shown.batch).collect();
        let uids: Vec<Uuid> = shown.iter().map(|shown| shown.resource_uid).collect();
        let digests: Vec<&str> = shown.iter().map(|shown| shown.digest.as_str()).collect();
        let completed: Vec<Option<jiff_sqlx::Timestamp>> =
            shown.iter().map(|shown| shown.completed_at.map(ToSqlx::to_sqlx)).collect();
        let query = sqlx::query(MARK_SHOWN).bind(batches).bind(uids).bind(digests).bind(completed);
        self.execute(query).await.map(drop)
    }

    /// Resources of batches that have outlived them long enough and show their last state, by the batch's id, after the
    /// one given, like [`Store::expired`].
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn batches_expired(
        &self,
        after: Option<BatchId>,
        limit: u32,
    ) -> Result<Vec<LiveBatch>, StoreError> {
        let after = after.unwrap_or(BatchId::nil());
        self.all(sqlx::query_as(EXPIRED).bind(after).bind(i64::from(limit))).await
    }

    /// Batches that are thought to have a resource, by id, after the one given; to be compared like
    /// [`Store::live_resources_page`].
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn live_batches_page(
        &self,
        after: Option<BatchId>,
        limit: u32,
    ) -> Result<Vec<LiveBatch>, StoreError> {
        let after = after.unwrap_or(BatchId::nil());
        self.all(sqlx::query_as(LIVE_PAGE).bind(after).bind(i64::from(limit))).await
    }

    /// Notes that the resources of these batches are gone.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn batch_resource_gone(&self, batches: &[BatchId]) -> Result<(), StoreError> {
        self.execute(sqlx::query(RESOURCE_GONE).bind(batches)).await.map(drop)
    }

    /// Whether a resource is that of this batch; the first one seen is.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn bind_batch(
        &self,
        batch: BatchId,
        resource: &ResourceRef,
    ) -> Result<BatchBinding, StoreError> {
        loop {
            let query = sqlx::query(BIND)
                .bind(batch)
                .bind(&resource.namespace)
                .bind(&resource.name)
                .bind(resource.uid);
            self.execute(query).await?;
            let query = sqlx::query_as(FIND).bind(batch).bind(resource.uid);
            match self.optional(query).await? {
                None => return Ok(BatchBinding::Unknown),
                Some(Found { batch, bound: Some(true) }) => return Ok(BatchBinding::Bound(Box::new(batch))),
                Some(Found { bound: Some(false), .. }) => return Ok(BatchBinding::OtherResource),
                // Forgotten in between, which happens once.
                Some(Found { bound: None, .. }) => {}
            }
        }
    }

    /// Gives a batch and its active members the choices that its resource's spec has now. Returns the members that
    /// changed; the queue is to follow.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn apply_batch_knobs(
        &self,
        batch: BatchId,
        knobs: MutableKnobs,
    ) -> Result<Vec<JobRow>, StoreError> {
        let priority = i16::from(knobs.priority.get());
        let ttl_seconds = columns::to_integer(knobs.ttl_seconds);
        let query =
            sqlx::query(APPLY_KNOBS).bind(batch).bind(priority).bind(knobs.suspended).bind(ttl_seconds);
        self.execute(query).await?;
        let query = sqlx::query_as(APPLY_KNOBS_TO_MEMBERS).bind(batch).bind(priority).bind(knobs.suspended);
        self.all(query).await
    }
}

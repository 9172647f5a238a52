//! Keeping the resources of jobs up to date, and letting go of them.

use domain::{JobId, JobStatus};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use crate::row::job_columns;
use crate::{JobRow, Store, StoreError, columns};

/// A job and the resource it is thought to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveResource {
    /// The job.
    pub job: JobId,
    /// Where the job stands.
    pub status: JobStatus,
    /// The resource's namespace.
    pub namespace: String,
    /// The resource's name.
    pub name: String,
    /// The resource's `metadata.uid`; unknown until it was seen.
    pub uid: Option<Uuid>,
}

impl FromRow<'_, PgRow> for LiveResource {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(LiveResource {
            job: row.try_get("id")?,
            status: columns::status(row, "status")?,
            namespace: row.try_get("resource_namespace")?,
            name: row.try_get("resource_name")?,
            uid: row.try_get("resource_uid")?,
        })
    }
}

const CHANGED: &str = concat!(
    "SELECT ",
    job_columns!(),
    " FROM scoring_jobs j
WHERE resource_kind = 'job' AND resource_uid IS NOT NULL AND expires_at IS NULL AND id > $1
  AND version > mirrored_version
ORDER BY id LIMIT $2"
);

const MARK_STATUS_MIRRORED: &str = "
WITH held AS (
  SELECT j.id, i.version FROM unnest($1::uuid[], $2::bigint[]) AS i (job, version)
  JOIN scoring_jobs j ON j.id = ANY (ARRAY[i.job]) AND j.mirrored_version < i.version
  ORDER BY i.job FOR NO KEY UPDATE OF j
)
UPDATE scoring_jobs j SET mirrored_version = least(held.version, j.version),
  expires_at = CASE WHEN held.version >= j.version THEN completed_at + ttl_seconds * INTERVAL '1 second' END
FROM held WHERE j.id = ANY (ARRAY[held.id])";

const EXPIRED: &str = "
SELECT id, status, resource_namespace, resource_name, resource_uid FROM scoring_jobs
WHERE resource_kind = 'job' AND expires_at IS NOT NULL AND expires_at <= now() AND id > $1 ORDER BY id LIMIT $2";

// A job that has not ended keeps its resource on record until it is cancelled: it may just have been bound to it.
const RESOURCE_GONE: &str = "
WITH held AS (
  SELECT id FROM scoring_jobs WHERE id = ANY (ARRAY(SELECT id FROM scoring_jobs WHERE resource_uid = ANY($1)))
    AND resource_kind = 'job' AND completed_at IS NOT NULL
  ORDER BY id FOR NO KEY UPDATE
)
UPDATE scoring_jobs j SET resource_kind = 'none' FROM held WHERE j.id = ANY (ARRAY[held.id])";

const UNSEEN_RESOURCE_GONE: &str = "
WITH held AS (
  SELECT id FROM scoring_jobs WHERE id = ANY($1) AND resource_kind = 'job' AND resource_uid IS NULL
    AND completed_at IS NOT NULL
  ORDER BY id FOR NO KEY UPDATE
)
UPDATE scoring_jobs j SET resource_kind = 'none' FROM held WHERE j.id = ANY (ARRAY[held.id])";

const LIVE_PAGE: &str = "
SELECT id, status, resource_namespace, resource_name, resource_uid FROM scoring_jobs
WHERE resource_kind = 'job' AND id > $1 ORDER BY id LIMIT $2";

const UNSEEN: &str = "
SELECT id, status, resource_namespace, resource_name, resource_uid FROM scoring_jobs
WHERE id = ANY($1) AND resource_kind = 'job' AND resource_uid IS NULL ORDER BY id";

impl Store {
    /// Jobs whose resource shows an older version, by id, after the one given. Going on from the last one keeps a
    /// resource that cannot be written from holding up the others.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn changed(&self, after: Option<JobId>, limit: u32) -> Result<Vec<JobRow>, StoreError> {
        let after = after.unwrap_or(JobId::nil());
        self.all(sqlx::query_as(CHANGED).bind(after).bind(i64::from(limit))).await
    }

    /// Notes that these jobs' resources show these versions.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn mark_status_mirrored(&self, shown: &[(JobId, i64)]) -> Result<(), StoreError> {
        let jobs: Vec<Uuid> = shown.iter().map(|(job, _)| *job).collect();
        let versions: Vec<i64> = shown.iter().map(|(_, version)| *version).collect();
        self.execute(sqlx::query(MARK_STATUS_MIRRORED).bind(jobs).bind(versions)).await.map(drop)
    }

    /// Resources that have outlived their job long enough, by the job's id, after the one given; going on from the last
    /// one keeps a resource that cannot be deleted from holding up the others. Only those that show how it ended:
    /// whoever waits for that with kubectl is to see it.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn expired(&self, after: Option<JobId>, limit: u32) -> Result<Vec<LiveResource>, StoreError> {
        let after = after.unwrap_or(JobId::nil());
        self.all(sqlx::query_as(EXPIRED).bind(after).bind(i64::from(limit))).await
    }

    /// Notes that resources with these uids are gone, of jobs that have ended. Cancel the others first, where that is
    /// meant ([`Store::cancel_by_resource_uid`]).
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn resource_gone(&self, uids: &[Uuid]) -> Result<(), StoreError> {
        self.execute(sqlx::query(RESOURCE_GONE).bind(uids)).await.map(drop)
    }

    /// Notes that the resources of these jobs, which have ended, went before their uids were known.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn unseen_resource_gone(&self, jobs: &[JobId]) -> Result<(), StoreError> {
        self.execute(sqlx::query(UNSEEN_RESOURCE_GONE).bind(jobs)).await.map(drop)
    }

    /// Those of these jobs that are thought to have a resource whose uid is not known.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn unseen_resources(&self, jobs: &[JobId]) -> Result<Vec<LiveResource>, StoreError> {
        self.all(sqlx::query_as(UNSEEN).bind(jobs)).await
    }

    /// Jobs that are thought to have a resource, by id, after the one given. To find those whose resource was
    /// deleted unseen, read these *first* and list the resources afterwards: a resource is there before its row says
    /// so, hence one that a later list lacks was deleted.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn live_resources_page(
        &self,
        after: Option<JobId>,
        limit: u32,
    ) -> Result<Vec<LiveResource>, StoreError> {
        let after = after.unwrap_or(JobId::nil());
        self.all(sqlx::query_as(LIVE_PAGE).bind(after).bind(i64::from(limit))).await
    }
}

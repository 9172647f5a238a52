//! What those who wait for a job or a batch ask: the versions of many at once, and then the rows that have changed.

use domain::{BatchId, JobId};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::QueryAs;
use sqlx::{FromRow, Postgres, Row};
use uuid::Uuid;

use crate::read::members;
use crate::row::job_columns;
use crate::{JobDetail, Store, StoreError, columns};

/// Which state of a job or batch it is that is on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    /// Rises with every change but that of the priority. Of a batch: the sum over its members.
    pub number: i64,
    /// The priority, which a person may change.
    pub priority: u8,
    /// Whether it has ended, so that nothing changes any more.
    pub ended: bool,
}

impl FromRow<'_, PgRow> for Version {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Version {
            number: row.try_get("version")?,
            priority: columns::priority(row, "priority")?.get(),
            ended: row.try_get("ended")?,
        })
    }
}

struct Of<T> {
    id: Uuid,
    what: T,
}

impl<'r, T: FromRow<'r, PgRow>> FromRow<'r, PgRow> for Of<T> {
    fn from_row(row: &'r PgRow) -> Result<Self, sqlx::Error> {
        Ok(Of { id: row.try_get("id")?, what: T::from_row(row)? })
    }
}

const JOBS: &str = "
SELECT j.id, j.version, j.priority, j.completed_at IS NOT NULL AS ended
FROM scoring_jobs j
WHERE j.id = ANY ($1) AND ($2::text IS NULL OR j.tenant = $2) AND ($3::text IS NULL OR j.owner = $3)";

const JOBS_IN_FULL: &str =
    concat!("SELECT ", job_columns!(), ", j.result FROM scoring_jobs j WHERE j.id = ANY ($1)");

const BATCHES: &str = concat!(
    "SELECT b.id, c.version, b.priority, c.ended FROM scoring_batches b CROSS JOIN LATERAL (
  SELECT coalesce(sum(m.version), 0)::bigint AS version, coalesce(bool_and(m.completed_at IS NOT NULL), TRUE) AS ended
  FROM ",
    members!(),
    " m WHERE m.batch_id = b.id
) c WHERE b.id = ANY ($1) AND ($2::text IS NULL OR b.tenant = $2) AND ($3::text IS NULL OR b.owner = $3)"
);

const BATCHES_OF: &str = "
SELECT DISTINCT j.batch_id AS id FROM scoring_jobs j WHERE j.id = ANY ($1) AND j.batch_id = ANY ($2)";

impl Store {
    /// The versions of those of the jobs that are there, without those in the history.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn job_versions(&self, jobs: &[JobId]) -> Result<Vec<(JobId, Version)>, StoreError> {
        let found: Vec<Of<Version>> = self.all(self.scoped(JOBS, jobs)).await?;
        Ok(found.into_iter().map(|of| (of.id, of.what)).collect())
    }

    /// The version of a job, unless it is in the history.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn job_version(&self, job: JobId) -> Result<Option<Version>, StoreError> {
        Ok(self.job_versions(&[job]).await?.pop().map(|(_, version)| version))
    }

    /// The version of a batch.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn batch_version(&self, batch: BatchId) -> Result<Option<Version>, StoreError> {
        Ok(self.batch_versions(&[batch]).await?.pop().map(|(_, version)| version))
    }

    /// Those of the jobs that are there, without those in the history.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn jobs_in_full(&self, jobs: &[JobId]) -> Result<Vec<JobDetail>, StoreError> {
        self.all(sqlx::query_as(JOBS_IN_FULL).bind(jobs)).await
    }

    /// The versions of those of the batches that are there.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn batch_versions(&self, batches: &[BatchId]) -> Result<Vec<(BatchId, Version)>, StoreError> {
        let found: Vec<Of<Version>> = self.all(self.scoped(BATCHES, batches)).await?;
        Ok(found.into_iter().map(|of| (of.id, of.what)).collect())
    }

    fn scoped<'q>(
        &self,
        statement: &'static str,
        ids: &[Uuid],
    ) -> QueryAs<'q, Postgres, Of<Version>, PgArguments> {
        sqlx::query_as(statement)
            .bind(ids.to_vec())
            .bind(self.scope.tenant().map(str::to_owned))
            .bind(self.scope.owner().map(str::to_owned))
    }

    /// Those of the batches that have one of the jobs as a member.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn batches_of(&self, jobs: &[JobId], batches: &[BatchId]) -> Result<Vec<BatchId>, StoreError> {
        let found: Vec<(BatchId,)> = self.all(sqlx::query_as(BATCHES_OF).bind(jobs).bind(batches)).await?;
        Ok(found.into_iter().map(|(batch,)| batch).collect())
    }
}

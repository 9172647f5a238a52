//! Cancelling: `domain::transition::cancel` as one statement.

use domain::{BatchId, JobId, JobStatus, Pool};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use crate::rounds::rounds;
use crate::text::without_nul;
use crate::{Store, StoreError, columns};

/// Someone withdraws a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelRequest {
    /// The job.
    pub job: JobId,
    /// Who withdraws it, for the audit log.
    pub by: String,
    /// Why, in words.
    pub reason: String,
}

/// What came of the wish to withdraw a job; see `domain::transition::Cancel`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It is now in ERROR.
    Cancelled {
        /// Its pool, from whose queue it is to be removed.
        pool: Pool,
    },
    /// It had been cancelled before, possibly by an earlier call whose answer was lost.
    AlreadyCancelled {
        /// Its pool.
        pool: Pool,
    },
    /// It had ended before.
    AlreadyEnded {
        /// How.
        status: JobStatus,
    },
    /// It is in another state than it was to be in.
    Changed,
    /// There is no such job.
    NotFound,
}

/// A job that was cancelled along with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelledJob {
    /// The job.
    pub job: JobId,
    /// Its pool, from whose queue it is to be removed.
    pub pool: Pool,
}

const CANCEL: &str = "
WITH item AS (
  SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[])
    WITH ORDINALITY AS t (job, actor, reason, expected, ord)
), held AS (
  SELECT j.id, j.tenant, j.status, j.version, j.pool, j.error_code, j.attempt, j.lease_epoch, j.scorer, j.created_at,
    j.started_at
  FROM item i JOIN scoring_jobs j ON j.id = ANY (ARRAY[i.job]) AND j.tenant = coalesce($5, j.tenant)
    AND ($6::text IS NULL OR j.owner = $6)
  ORDER BY i.job FOR NO KEY UPDATE OF j
), decided AS (
  SELECT i.ord, i.job, i.actor, i.reason, h.*,
    h.status IN ('QUEUED', 'RUNNING') AND h.version = coalesce(i.expected, h.version) AS active,
    format('Cancelled by %s: %s', i.actor, i.reason) AS words,
    greatest(now(), h.created_at, h.started_at) AS ended_at
  FROM item i LEFT JOIN held h ON h.id = i.job
), recorded AS (
  INSERT INTO scoring_attempts (job_id, lease_epoch, attempt, scorer, started_at, ended_at, outcome, error_code,
    message)
  SELECT id, lease_epoch, attempt, scorer, started_at, ended_at, 'cancelled', 'cancelled', words
  FROM decided WHERE status = 'RUNNING' AND active
), counted AS (
  INSERT INTO tenant_active_jobs (tenant, jobs) SELECT tenant, -count(*) FROM decided WHERE active GROUP BY tenant
), logged AS (
  INSERT INTO audit_log (actor, action, job_id, detail)
  SELECT actor, 'cancel', id, jsonb_build_object('reason', reason, 'was', status) FROM decided WHERE active
), changed AS (
  UPDATE scoring_jobs j SET status = 'ERROR', version = j.version + 1, error_code = 'cancelled',
    error_message = d.reason, feedback = d.words, completed_at = d.ended_at,
    resource_kind = coalesce(resource_kind, 'none')
  FROM decided d WHERE j.id = ANY (ARRAY[d.id]) AND d.active
)
SELECT status, active, pool, error_code = 'cancelled' AS by_cancel FROM decided ORDER BY ord";

impl FromRow<'_, PgRow> for Cancelled {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let Some(active) = row.try_get::<Option<bool>, _>("active")? else {
            return Ok(Cancelled::NotFound);
        };
        let status = columns::status(row, "status")?;
        let by_cancel = row.try_get::<Option<bool>, _>("by_cancel")?.unwrap_or(false);
        Ok(if active {
            Cancelled::Cancelled { pool: columns::pool(row, "pool")? }
        } else if status == JobStatus::Error && by_cancel {
            Cancelled::AlreadyCancelled { pool: columns::pool(row, "pool")? }
        } else if status.is_active() {
            Cancelled::Changed
        } else {
            Cancelled::AlreadyEnded { status }
        })
    }
}

const ACTIVE_OF_RESOURCES: &str = "
SELECT id FROM scoring_jobs
WHERE id = ANY (ARRAY(SELECT id FROM scoring_jobs WHERE resource_uid = ANY($1)))
  AND resource_kind = 'job' AND status IN ('QUEUED', 'RUNNING') ORDER BY id";

const ACTIVE_OF_BATCH: &str = "
SELECT id FROM scoring_jobs
WHERE id = ANY (ARRAY(SELECT id FROM scoring_jobs WHERE batch_id = $1)) AND status IN ('QUEUED', 'RUNNING') ORDER BY id";

impl Store {
    /// Cancels jobs, each on its own: the answers come in the order of the requests. A running attempt is stopped by
    /// its scorer, which learns of it through [`Store::held`].
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn cancel(&self, requests: &[CancelRequest]) -> Result<Vec<Cancelled>, StoreError> {
        self.cancel_in(requests, None).await
    }

    /// Cancels a job if it is in the state of this version.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn cancel_if(&self, request: &CancelRequest, version: i64) -> Result<Cancelled, StoreError> {
        let answer = self.cancel_in(std::slice::from_ref(request), Some(version)).await?.pop();
        Ok(answer.unwrap_or(Cancelled::NotFound))
    }

    async fn cancel_in(
        &self,
        requests: &[CancelRequest],
        version: Option<i64>,
    ) -> Result<Vec<Cancelled>, StoreError> {
        let mut answers = vec![Cancelled::NotFound; requests.len()];
        for round in rounds(requests.iter().map(|request| request.job)) {
            let asked = || round.iter().map(|at| &requests[*at]);
            let jobs: Vec<Uuid> = asked().map(|request| request.job).collect();
            let actors: Vec<String> = asked().map(|request| without_nul(&request.by).into_owned()).collect();
            let reasons: Vec<String> =
                asked().map(|request| without_nul(&request.reason).into_owned()).collect();
            let expected = vec![version; jobs.len()];
            let query = sqlx::query_as(CANCEL)
                .bind(jobs)
                .bind(actors)
                .bind(reasons)
                .bind(expected)
                .bind(self.scope.tenant())
                .bind(self.scope.owner());
            let cancelled = self.all(query).await?;
            for (at, answer) in round.into_iter().zip(cancelled) {
                answers[at] = answer;
            }
        }
        Ok(answers)
    }

    /// The active jobs of these resources.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn active_of_resources(&self, uids: &[Uuid]) -> Result<Vec<JobId>, StoreError> {
        let jobs: Vec<(Uuid,)> = self.all(sqlx::query_as(ACTIVE_OF_RESOURCES).bind(uids)).await?;
        Ok(jobs.into_iter().map(|(job,)| job).collect())
    }

    /// Cancels the active jobs of these resources, because the resources are gone.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn cancel_by_resource_uid(
        &self,
        uids: &[Uuid],
        by: &str,
        reason: &str,
    ) -> Result<Vec<CancelledJob>, StoreError> {
        let jobs = self.active_of_resources(uids).await?;
        self.cancel_all(jobs, by, reason).await
    }

    /// Cancels the active members of a batch.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn cancel_batch(
        &self,
        batch: BatchId,
        by: &str,
        reason: &str,
    ) -> Result<Vec<CancelledJob>, StoreError> {
        let jobs: Vec<(Uuid,)> = self.all(sqlx::query_as(ACTIVE_OF_BATCH).bind(batch)).await?;
        self.cancel_all(jobs.into_iter().map(|(job,)| job).collect(), by, reason).await
    }

    async fn cancel_all(
        &self,
        jobs: Vec<JobId>,
        by: &str,
        reason: &str,
    ) -> Result<Vec<CancelledJob>, StoreError> {
        let request = |job: &JobId| CancelRequest { job: *job, by: by.to_owned(), reason: reason.to_owned() };
        let requests: Vec<CancelRequest> = jobs.iter().map(request).collect();
        let answers = self.cancel(&requests).await?;
        let cancelled = |(job, answer): (JobId, Cancelled)| match answer {
            Cancelled::Cancelled { pool } | Cancelled::AlreadyCancelled { pool } => {
                Some(CancelledJob { job, pool })
            }
            Cancelled::AlreadyEnded { .. } | Cancelled::Changed | Cancelled::NotFound => None,
        };
        Ok(jobs.into_iter().zip(answers).filter_map(cancelled).collect())
    }
}

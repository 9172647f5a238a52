//! Trying an ended job again: a new job for the same submission.

use domain::{JobId, JobStatus, Knobs};

use crate::accept::{Accepted, NewJob};
use crate::text::without_nul;
use crate::{Store, StoreError};

/// Someone wants an ended job tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryRequest {
    /// The job that ended.
    pub job: JobId,
    /// The id that the new one is to have. Asking again under the same id finds out what the first time did.
    pub new_id: JobId,
    /// Who wants it, for the audit log.
    pub by: String,
    /// Whose jobs they may see; `None`: all of them.
    pub tenant: Option<String>,
    /// The W3C trace context of the request.
    pub traceparent: Option<String>,
}

/// What came of the wish to try a job again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retried {
    /// As for any request: a new job, another active one, or a refusal.
    Answered(Accepted),
    /// The job has not ended.
    StillActive {
        /// Where it stands.
        status: JobStatus,
    },
    /// There is no such job.
    NotFound,
}

const LOG: &str = "
INSERT INTO audit_log (actor, action, job_id, detail)
SELECT $1, CASE WHEN $4 THEN 'regrade' ELSE 'redrive' END, $2, jsonb_build_object('new_job', $3::uuid)
WHERE NOT EXISTS (SELECT FROM audit_log WHERE job_id = $2 AND detail ->> 'new_job' = $3::text)";

impl Store {
    /// Accepts a new job for the submission of one that has ended, with the same choices and the newest version of
    /// its rubric.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn retry(&self, request: &RetryRequest) -> Result<Retried, StoreError> {
        let Some(ended) = self.job(request.job).await? else {
            return Ok(Retried::NotFound);
        };
        let ended = ended.job;
        if request.tenant.as_ref().is_some_and(|tenant| *tenant != ended.tenant) {
            return Ok(Retried::NotFound);
        }
        if ended.status.is_active() {
            return Ok(Retried::StillActive { status: ended.status });
        }
        let new = NewJob {
            id: request.new_id,
            submission_id: ended.submission_id,
            tenant: request.tenant.clone(),
            knobs: Knobs {
                rubric: ended.rubric,
                pool: ended.pool,
                priority: ended.priority,
                retries: ended.max_attempts.saturating_sub(1),
                backoff_seconds: ended.backoff_seconds,
                timeout_seconds: ended.timeout_seconds,
                ttl_seconds: ended.ttl_seconds,
                not_before: None,
                suspended: false,
            },
            traceparent: request.traceparent.clone(),
            resource: None,
        };
        let Some(Ok(answer)) = self.accept(&[new]).await?.pop() else {
            return Ok(Retried::NotFound);
        };
        if matches!(answer, Accepted::Created { .. }) {
            let query = sqlx::query(LOG)
                .bind(without_nul(&request.by))
                .bind(request.job)
                .bind(request.new_id)
                .bind(ended.status == JobStatus::Done);
            self.execute(query).await?;
        }
        Ok(Retried::Answered(answer))
    }
}

//! What people did with a job, as the audit log has it.

use domain::JobId;
use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use crate::{Store, StoreError, columns};

/// What somebody did with a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionRow {
    /// `cancel`, `redrive` or `regrade`.
    pub action: String,
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why, if it was said.
    pub reason: Option<String>,
    /// The job that came of it.
    pub new_job: Option<JobId>,
}

impl FromRow<'_, PgRow> for ActionRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(ActionRow {
            action: row.try_get("action")?,
            by: row.try_get("actor")?,
            at: columns::timestamp(row, "at")?,
            reason: row.try_get("reason")?,
            new_job: row.try_get("new_job")?,
        })
    }
}

/// As many as anybody reads.
const MOST: i64 = 100;

const OF_JOB: &str = "
SELECT action, actor, at, detail ->> 'reason' AS reason, (detail ->> 'new_job')::uuid AS new_job
FROM audit_log WHERE job_id = $1 AND ($3::text IS NULL
  OR EXISTS (SELECT FROM scoring_jobs j WHERE j.id = $1 AND j.tenant = $3 AND ($4::text IS NULL OR j.owner = $4))
  OR EXISTS (SELECT FROM scoring_history h
    WHERE h.id = $1 AND h.tenant = $3 AND ($4::text IS NULL OR h.job ->> 'owner' = $4)))
ORDER BY id LIMIT $2";

impl Store {
    /// What people did with a job, in that order: the first hundred.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn actions(&self, job: JobId) -> Result<Vec<ActionRow>, StoreError> {
        let (tenant, owner) = (self.scope.tenant(), self.scope.owner());
        self.all(sqlx::query_as(OF_JOB).bind(job).bind(MOST).bind(tenant).bind(owner)).await
    }
}

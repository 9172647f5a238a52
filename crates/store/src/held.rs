//! What a scorer still holds.

use domain::Claim;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use crate::{Store, StoreError};

/// Whose the job of a claim is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tenure {
    /// It runs under the claim's epoch.
    Held,
    /// It was cancelled while it ran under the claim's epoch.
    Cancelled,
    /// The claim is over in another way: taken over, recorded, or never begun.
    Over,
}

const HELD: &str = "
SELECT j.id IS NOT NULL AS held, a.job_id IS NOT NULL AS cancelled
FROM unnest($1::uuid[], $2::bigint[]) WITH ORDINALITY AS i (job, epoch, ord)
LEFT JOIN scoring_jobs j ON j.id = ANY (ARRAY[i.job]) AND j.status = 'RUNNING' AND j.lease_epoch = i.epoch
LEFT JOIN scoring_attempts a
  ON a.job_id = ANY (ARRAY[i.job]) AND a.lease_epoch = i.epoch AND a.outcome = 'cancelled'
ORDER BY i.ord";

impl FromRow<'_, PgRow> for Tenure {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(if row.try_get("held")? {
            Tenure::Held
        } else if row.try_get("cancelled")? {
            Tenure::Cancelled
        } else {
            Tenure::Over
        })
    }
}

impl Store {
    /// Whether each claim's job is still running under its epoch. A scorer asks this for whatever it runs: work on a job
    /// that was cancelled or taken over is pointless.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn held(&self, claims: &[Claim]) -> Result<Vec<Tenure>, StoreError> {
        let jobs: Vec<Uuid> = claims.iter().map(|claim| claim.job).collect();
        let epochs: Vec<i64> = claims.iter().map(|claim| claim.epoch.0).collect();
        self.all(sqlx::query_as(HELD).bind(jobs).bind(epochs)).await
    }
}

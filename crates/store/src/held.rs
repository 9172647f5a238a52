//! What a scorer still holds.

use domain::Claim;
use uuid::Uuid;

use crate::{Store, StoreError};

const HELD: &str = "
SELECT j.id IS NOT NULL
FROM unnest($1::uuid[], $2::bigint[]) WITH ORDINALITY AS i (job, epoch, ord)
LEFT JOIN scoring_jobs j ON j.id = ANY (ARRAY[i.job]) AND j.status = 'RUNNING' AND j.lease_epoch = i.epoch
ORDER BY i.ord";

impl Store {
    /// Whether each claim's job is still running under its epoch. A scorer asks this for whatever it runs: work on a job
    /// that was cancelled or taken over is pointless.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn held(&self, claims: &[Claim]) -> Result<Vec<bool>, StoreError> {
        let jobs: Vec<Uuid> = claims.iter().map(|claim| claim.job).collect();
        let epochs: Vec<i64> = claims.iter().map(|claim| claim.epoch.0).collect();
        let rows: Vec<(bool,)> = self.all(sqlx::query_as(HELD).bind(jobs).bind(epochs)).await?;
        Ok(rows.into_iter().map(|(held,)| held).collect())
    }
}

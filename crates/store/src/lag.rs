//! How far what is shown lags behind the record.

use std::time::Duration;

use sqlx::FromRow;
use sqlx::postgres::PgRow;

use crate::{Store, StoreError, columns};

/// How long the oldest of what is to be shown has been waiting for that, by the clock of Postgres; zero when nothing
/// waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Since the oldest job without a resource was accepted.
    pub resource: Duration,
    /// Since a row changed that its resource does not show yet.
    pub status: Duration,
}

// A job that waits to be tried again has no time of its last change: what its resource lacks counts from when it is due.
const LAG: &str = "
SELECT (
  SELECT extract(epoch FROM now() - created_at)::double precision FROM scoring_jobs
  WHERE resource_kind IS NULL ORDER BY created_at, id LIMIT 1
) AS resource, (
  SELECT extract(epoch FROM now() - min(CASE
    WHEN completed_at IS NOT NULL THEN completed_at
    WHEN started_at IS NOT NULL THEN started_at
    WHEN attempt > 0 THEN least(not_before, now())
    ELSE created_at END))::double precision
  FROM scoring_jobs
  WHERE resource_kind = 'job' AND resource_uid IS NOT NULL AND expires_at IS NULL AND version > mirrored_version
) AS status";

impl FromRow<'_, PgRow> for Lag {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Lag { resource: columns::seconds(row, "resource")?, status: columns::seconds(row, "status")? })
    }
}

impl Store {
    /// How far what is shown lags behind.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn lag(&self) -> Result<Lag, StoreError> {
        Ok(self.optional(sqlx::query_as(LAG)).await?.unwrap_or_default())
    }
}

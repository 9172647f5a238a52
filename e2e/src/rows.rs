//! The tables: the truth that everything else is compared with.

use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::postgres::{PgPoolOptions, PgRow};
use sqlx::{FromRow, PgPool, Row as _};
use uuid::Uuid;

use crate::world::PATIENCE;
use testkit::{Seen, until};

/// A job's row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The job.
    pub id: Uuid,
    /// What it scores.
    pub submission_id: Uuid,
    /// Its batch, if it is in one.
    pub batch_id: Option<Uuid>,
    /// QUEUED, RUNNING, DONE or ERROR.
    pub status: String,
    /// Its score.
    pub score: Option<f64>,
    /// What is said about it.
    pub feedback: Option<String>,
    /// Why it ended without a score.
    pub error_code: Option<String>,
    /// Attempts spent.
    pub attempt: i32,
    /// The epoch of the newest attempt.
    pub lease_epoch: i64,
    /// Who holds it, or held it last.
    pub scorer: Option<String>,
    /// Its priority.
    pub priority: i16,
    /// Rises with every change that a status shows.
    pub version: i64,
    /// What shows it: a `job`, a `batch`, `none`, or nothing yet.
    pub resource_kind: Option<String>,
    /// The uid of the ScoringJob that shows it.
    pub resource_uid: Option<Uuid>,
    /// When the last attempt began, in milliseconds.
    pub started_ms: Option<i64>,
    /// When it ended, in milliseconds.
    pub completed_ms: Option<i64>,
}

impl FromRow<'_, PgRow> for Row {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Row {
            id: row.try_get("id")?,
            submission_id: row.try_get("submission_id")?,
            batch_id: row.try_get("batch_id")?,
            status: row.try_get("status")?,
            score: row.try_get("score")?,
            feedback: row.try_get("feedback")?,
            error_code: row.try_get("error_code")?,
            attempt: row.try_get("attempt")?,
            lease_epoch: row.try_get("lease_epoch")?,
            scorer: row.try_get("scorer")?,
            priority: row.try_get("priority")?,
            version: row.try_get("version")?,
            resource_kind: row.try_get("resource_kind")?,
            resource_uid: row.try_get("resource_uid")?,
            started_ms: row.try_get("started_ms")?,
            completed_ms: row.try_get("completed_ms")?,
        })
    }
}

impl Row {
    /// Whether it may still change.
    pub fn is_active(&self) -> bool {
        matches!(self.status.as_str(), "QUEUED" | "RUNNING")
    }
}

/// An attempt that has ended, as recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// The job.
    pub job_id: Uuid,
    /// Which one, from 1.
    pub attempt: i32,
    /// Its epoch.
    pub lease_epoch: i64,
    /// Who made it.
    pub scorer: String,
    /// How it ended.
    pub outcome: String,
    /// When it began, in milliseconds.
    pub started_ms: i64,
    /// When it ended, or was known to have, in milliseconds.
    pub ended_ms: i64,
}

impl FromRow<'_, PgRow> for Attempt {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Attempt {
            job_id: row.try_get("job_id")?,
            attempt: row.try_get("attempt")?,
            lease_epoch: row.try_get("lease_epoch")?,
            scorer: row.try_get("scorer")?,
            outcome: row.try_get("outcome")?,
            started_ms: row.try_get("started_ms")?,
            ended_ms: row.try_get("ended_ms")?,
        })
    }
}

const JOBS: &str = "
SELECT id, submission_id, batch_id, status, score, feedback, error_code, attempt, lease_epoch, scorer, priority,
  version, resource_kind, resource_uid, floor(extract(epoch FROM started_at) * 1000)::bigint AS started_ms,
  floor(extract(epoch FROM completed_at) * 1000)::bigint AS completed_ms
FROM scoring_jobs WHERE $1::uuid IS NULL OR id = $1 ORDER BY id";

const ATTEMPTS: &str = "
SELECT job_id, attempt, lease_epoch, scorer, outcome,
  floor(extract(epoch FROM started_at) * 1000)::bigint AS started_ms,
  floor(extract(epoch FROM ended_at) * 1000)::bigint AS ended_ms
FROM scoring_attempts WHERE $1::uuid IS NULL OR job_id = $1 ORDER BY job_id, lease_epoch";

const IN_A_WHILE: &str = "
SELECT to_char((now() + $1 * INTERVAL '1 millisecond') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')";

/// The database of a stack.
#[derive(Clone, Debug)]
pub struct Database {
    /// For statements of a test's own.
    pub pool: PgPool,
}

impl Database {
    /// The database at this URL, which need not be there yet.
    ///
    /// # Errors
    /// When it is no URL.
    pub fn at(url: &str) -> Result<Database> {
        let pool = PgPoolOptions::new().max_connections(3).acquire_timeout(Duration::from_secs(10));
        Ok(Database { pool: pool.connect_lazy(url)? })
    }

    /// A job's row.
    ///
    /// # Errors
    /// When there is none.
    pub async fn job(&self, id: Uuid) -> Result<Row> {
        let row =
            sqlx::query_as(JOBS).bind(Some(id)).fetch_optional(&self.pool).await.context("read a job")?;
        row.with_context(|| format!("there is no job {id}"))
    }

    /// All rows.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn jobs(&self) -> Result<Vec<Row>> {
        sqlx::query_as(JOBS).bind(None::<Uuid>).fetch_all(&self.pool).await.context("read all jobs")
    }

    /// A job's attempts, in the order of their epochs.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn attempts_of(&self, job: Uuid) -> Result<Vec<Attempt>> {
        sqlx::query_as(ATTEMPTS).bind(Some(job)).fetch_all(&self.pool).await.context("read attempts")
    }

    /// All attempts.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn attempts(&self) -> Result<Vec<Attempt>> {
        sqlx::query_as(ATTEMPTS).bind(None::<Uuid>).fetch_all(&self.pool).await.context("read attempts")
    }

    /// How a job's attempts ended, in the order of their epochs.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn outcomes_of(&self, job: Uuid) -> Result<Vec<String>> {
        Ok(self.attempts_of(job).await?.into_iter().map(|attempt| attempt.outcome).collect())
    }

    /// The time so much later than now, by the clock of Postgres, as the API takes it.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn in_a_while(&self, delay: Duration) -> Result<String> {
        let milliseconds = i64::try_from(delay.as_millis()).context("a delay")?;
        let (time,): (String,) = sqlx::query_as(IN_A_WHILE)
            .bind(milliseconds)
            .fetch_one(&self.pool)
            .await
            .context("read the clock")?;
        Ok(time)
    }

    /// Waits until a request made with kubectl has become a job.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn until_accepted(&self, id: Uuid) -> Result<()> {
        until(format!("the request {id} is accepted"), PATIENCE, async || {
            let rows = self.jobs().await?;
            Ok(Seen::when(rows.iter().any(|row| row.id == id), || format!("{rows:?}")))
        })
        .await
    }

    /// Waits until a job has this status.
    ///
    /// # Errors
    /// When it does not get it in time.
    pub async fn until_job_is(&self, id: Uuid, status: &str, limit: Duration) -> Result<Row> {
        self.until_job(id, &format!("is {status}"), limit, |row| row.status == status).await
    }

    /// Waits until something holds of a job.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn until_job(
        &self,
        id: Uuid,
        what: &str,
        limit: Duration,
        holds: impl Fn(&Row) -> bool,
    ) -> Result<Row> {
        until(format!("job {id} {what}"), limit, async || {
            let row = self.job(id).await?;
            Ok(if holds(&row) { Seen::Yes(row) } else { Seen::NotYet(format!("{row:?}")) })
        })
        .await
    }

    /// Waits until so many jobs are DONE.
    ///
    /// # Errors
    /// When they are not in time.
    pub async fn until_done(&self, number: usize, limit: Duration) -> Result<()> {
        const COUNTS: &str = "SELECT status, count(*) FROM scoring_jobs GROUP BY status ORDER BY status";
        until(format!("{number} jobs are DONE"), limit, async || {
            let counts: Vec<(String, i64)> = sqlx::query_as(COUNTS).fetch_all(&self.pool).await?;
            let done = counts.iter().find(|(status, _)| status == "DONE").map_or(0, |(_, count)| *count);
            Ok(Seen::when(usize::try_from(done)? >= number, || format!("{counts:?}")))
        })
        .await
    }
}

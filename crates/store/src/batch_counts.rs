//! How a batch stands, counted from its members whenever it is asked.

use domain::{JobId, SubmissionId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, Row};

use crate::columns;

/// How a batch stands, counted from its members.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchCounts {
    /// The sum of the members' versions: it rises with every change of any of them.
    pub version: i64,
    /// Waiting.
    pub queued: u32,
    /// Being scored.
    pub running: u32,
    /// Scored.
    pub done: u32,
    /// Ended without a score.
    pub error: u32,
    /// The mean of the scores so far.
    pub mean_score: Option<f64>,
    /// When the first attempt of those that run or have ended began.
    pub started_at: Option<Timestamp>,
    /// When the last member ended, once all have.
    pub completed_at: Option<Timestamp>,
    /// The first of those that failed, at most 5.
    pub failures: Vec<Failure>,
}

impl BatchCounts {
    /// Whether every member has ended.
    pub fn is_complete(&self) -> bool {
        self.queued == 0 && self.running == 0
    }
}

/// A member that ended without a score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The job.
    pub job: JobId,
    /// Its submission.
    pub submission_id: SubmissionId,
    /// Why, for machines.
    pub code: String,
    /// Why, in words.
    pub message: String,
}

// A member may have ended before its overflow batch was made: by a statement that had begun before and waited for the row.
/// The counts of the members of a batch called `b`, taken from such a table, as a lateral table `c`.
macro_rules! batch_counts {
    () => {
        crate::batch_counts::batch_counts!("scoring_jobs")
    };
    ($members:expr) => {
        concat!(
            "CROSS JOIN LATERAL (
  SELECT coalesce(sum(m.version), 0)::bigint AS version, count(*) FILTER (WHERE m.status = 'QUEUED')::integer AS queued,
    count(*) FILTER (WHERE m.status = 'RUNNING')::integer AS running,
    count(*) FILTER (WHERE m.status = 'DONE')::integer AS done,
    count(*) FILTER (WHERE m.status = 'ERROR')::integer AS error,
    avg(m.score) AS mean_score, min(m.started_at) AS started_at,
    CASE WHEN coalesce(bool_and(m.status IN ('DONE', 'ERROR')), TRUE)
      THEN greatest(max(m.completed_at), b.created_at) END AS completed_at
  FROM ",
            $members,
            " m WHERE m.batch_id = b.id
) c"
        )
    };
}

/// The first failures of a batch called `b`, among members taken from such a table, as a column.
macro_rules! batch_failures {
    () => {
        crate::batch_counts::batch_failures!("scoring_jobs")
    };
    ($members:expr) => {
        concat!(
            "(SELECT coalesce(jsonb_agg(jsonb_build_object('job', f.id, 'submission_id', f.submission_id,
    'code', f.error_code, 'message', f.feedback) ORDER BY f.completed_at, f.id), '[]')
  FROM (SELECT id, submission_id, error_code, feedback, completed_at FROM ",
            $members,
            " m
    WHERE m.batch_id = b.id AND m.status = 'ERROR' ORDER BY m.completed_at, m.id LIMIT 5) f) AS failures"
        )
    };
}
pub(crate) use {batch_counts, batch_failures};

impl FromRow<'_, PgRow> for BatchCounts {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let Json(failures) = row.try_get("failures")?;
        Ok(BatchCounts {
            version: row.try_get("version")?,
            queued: columns::count(row, "queued")?,
            running: columns::count(row, "running")?,
            done: columns::count(row, "done")?,
            error: columns::count(row, "error")?,
            mean_score: row.try_get("mean_score")?,
            started_at: columns::optional_timestamp(row, "started_at")?,
            completed_at: columns::optional_timestamp(row, "completed_at")?,
            failures,
        })
    }
}

//! A job as clients see it.

use domain::{ErrorCode, JobId, JobStatus, Pool, Priority, SubmissionId};
use jiff::Timestamp;
use serde::Serialize;
use store::JobRow;

/// A job as clients see it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::routes) struct Job {
    #[serde(rename = "job_id")]
    job_id: JobId,
    submission_id: SubmissionId,
    status: JobStatus,
    score: Option<f64>,
    feedback: Option<String>,
    error: Option<Failure>,
    attempts: u32,
    rubric: String,
    rubric_version: String,
    pool: Pool,
    priority: Priority,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
}

/// Why a job ended without a score; of an active one, why its last attempt failed.
#[derive(Serialize)]
struct Failure {
    code: ErrorCode,
    message: Option<String>,
}

impl From<JobRow> for Job {
    fn from(row: JobRow) -> Self {
        let message = row.error_message;
        Job {
            job_id: row.id,
            submission_id: row.submission_id,
            status: row.status,
            score: row.score,
            feedback: row.feedback,
            error: row.error_code.map(|code| Failure { code, message }),
            attempts: row.attempt,
            rubric: row.rubric,
            rubric_version: row.rubric_version,
            pool: row.pool,
            priority: row.priority,
            created_at: row.created_at,
            started_at: row.started_at,
            completed_at: row.completed_at,
        }
    }
}

//! A job as clients see it.

use domain::{ErrorCode, JobId, JobStatus, Pool, Priority, SubmissionId};
use jiff::Timestamp;
use serde::Serialize;
use store::JobRow;
use utoipa::ToSchema;

use crate::openapi::terms;

/// A job as clients see it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::routes) struct Job {
    #[serde(rename = "job_id")]
    #[schema(value_type = Uuid)]
    job_id: JobId,
    #[schema(value_type = Uuid)]
    submission_id: SubmissionId,
    #[schema(value_type = terms::JobStatus)]
    status: JobStatus,
    /// Of 100. Only a job that is DONE has one.
    #[schema(required, minimum = 0, maximum = 100)]
    score: Option<f64>,
    /// For the person who submitted. A job that ended without a score has its error's message here.
    #[schema(required)]
    feedback: Option<String>,
    #[schema(required)]
    error: Option<Failure>,
    /// Attempts spent.
    attempts: u32,
    rubric: String,
    rubric_version: String,
    #[schema(value_type = terms::Pool)]
    pool: Pool,
    #[schema(value_type = terms::Priority)]
    priority: Priority,
    created_at: Timestamp,
    /// When its last attempt began.
    #[schema(required)]
    started_at: Option<Timestamp>,
    #[schema(required)]
    completed_at: Option<Timestamp>,
}

/// Why a job ended without a score; of an active one, why its last attempt failed.
#[derive(Serialize, ToSchema)]
#[schema(as = JobError)]
struct Failure {
    #[schema(value_type = terms::ErrorCode)]
    code: ErrorCode,
    #[schema(required)]
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

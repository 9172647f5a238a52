//! A job as it is shown.

use std::time::Duration;

use domain::{BatchId, Epoch, ErrorCode, JobId, JobStatus, Pool, Priority, SubmissionId};
use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use crate::columns;
use crate::queueing::ToQueue;

/// The custom resource of a job or batch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ResourceRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its `metadata.uid`.
    pub uid: Uuid,
}

/// Where a job is mirrored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Mirror {
    /// Nowhere yet.
    None,
    /// In a resource of its own. The uid is unknown until the resource was seen.
    Job {
        /// The resource's namespace.
        namespace: String,
        /// The resource's name.
        name: String,
        /// The resource's `metadata.uid`.
        uid: Option<Uuid>,
    },
    /// In the counts of its batch's resource.
    Batch,
    /// Nowhere any more, or it ended before it was: its resource is gone.
    Gone {
        /// The `metadata.uid` of the resource that is gone, if there was one.
        uid: Option<Uuid>,
    },
}

/// Everything about a job that `GET` and a resource's status show, but for the results of single criteria.
#[derive(Clone, Debug, PartialEq)]
pub struct JobRow {
    /// Its id.
    pub id: JobId,
    /// What is scored.
    pub submission_id: SubmissionId,
    /// The batch it belongs to.
    pub batch_id: Option<BatchId>,
    /// Whose submission it is.
    pub tenant: String,
    /// Where it stands.
    pub status: JobStatus,
    /// How urgent it is.
    pub priority: Priority,
    /// Whose scorers take it.
    pub pool: Pool,
    /// The rubric's name.
    pub rubric: String,
    /// The rubric's version.
    pub rubric_version: String,
    /// The score, 0 to 100, of a job that is done.
    pub score: Option<f64>,
    /// What there is to say about the score, or why there is none.
    pub feedback: Option<String>,
    /// Why it ended in error; of an active job, why its last attempt failed.
    pub error_code: Option<ErrorCode>,
    /// The failure's message, along with the code.
    pub error_message: Option<String>,
    /// Attempts spent, counting the one that is running.
    pub attempt: u32,
    /// Attempts it may spend.
    pub max_attempts: u32,
    /// How long it waits before its first retry.
    pub backoff_seconds: u32,
    /// How long one attempt may take.
    pub timeout_seconds: u32,
    /// How long its resource outlives it.
    pub ttl_seconds: u32,
    /// Held back by a person.
    pub suspended: bool,
    /// The newest epoch that started it.
    pub epoch: Epoch,
    /// Who holds it, or held it last.
    pub scorer: Option<String>,
    /// Not started before.
    pub not_before: Option<Timestamp>,
    /// How long `not_before` lay ahead by the clock of Postgres when the row was read.
    pub delay: Duration,
    /// Rises with every change that a status shows.
    pub version: i64,
    /// The version that its resource's status shows.
    pub mirrored_version: i64,
    /// Where it is mirrored.
    pub mirror: Mirror,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// Since when it has been on the queue, which is since it was accepted; nothing while it is not known to be there.
    pub queued_at: Option<Timestamp>,
    /// When its current or last attempt began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// The W3C trace context of the request that made it.
    pub traceparent: Option<String>,
}

impl JobRow {
    /// What the queue has to know of it; nothing when it has ended or is held back.
    pub fn to_queue(&self) -> Option<ToQueue> {
        let leased = self.status == JobStatus::Running;
        (self.status.is_active() && (leased || !self.suspended)).then(|| ToQueue {
            job: self.id,
            pool: self.pool.clone(),
            rank: columns::rank_of(&self.tenant, self.priority, self.created_at),
            delay: self.delay,
            epoch: self.epoch,
            leased,
            traceparent: self.traceparent.clone(),
        })
    }
}

/// The columns of a [`JobRow`], of a table called `j`. A macro, because `concat!` takes literals only.
macro_rules! job_columns {
    () => {
        "j.id, j.submission_id, j.batch_id, j.tenant, j.status, j.priority, j.pool, j.rubric, j.rubric_version, \
         j.score, j.feedback, j.error_code, j.error_message, j.attempt, j.max_attempts, \
         j.backoff_seconds, j.timeout_seconds, j.ttl_seconds, j.suspended, j.lease_epoch, j.scorer, j.not_before, \
         ceil(extract(epoch FROM j.not_before - now()) * 1000)::bigint AS delay_ms, j.version, \
         j.mirrored_version, j.resource_kind, j.resource_namespace, j.resource_name, j.resource_uid, \
         j.created_at, j.started_at, j.completed_at, j.traceparent, \
         CASE WHEN NOT (j.suspended AND j.status = 'QUEUED') \
           AND NOT EXISTS (SELECT FROM scoring_unqueued u WHERE u.job_id = ANY (ARRAY[j.id])) \
         THEN j.created_at END AS queued_at"
    };
}
pub(crate) use job_columns;

impl FromRow<'_, PgRow> for JobRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(JobRow {
            id: row.try_get("id")?,
            submission_id: row.try_get("submission_id")?,
            batch_id: row.try_get("batch_id")?,
            tenant: row.try_get("tenant")?,
            status: columns::status(row, "status")?,
            priority: columns::priority(row, "priority")?,
            pool: columns::pool(row, "pool")?,
            rubric: row.try_get("rubric")?,
            rubric_version: row.try_get("rubric_version")?,
            score: row.try_get("score")?,
            feedback: row.try_get("feedback")?,
            error_code: row.try_get::<Option<String>, _>("error_code")?.map(ErrorCode::from),
            error_message: row.try_get("error_message")?,
            attempt: columns::count(row, "attempt")?,
            max_attempts: columns::count(row, "max_attempts")?,
            backoff_seconds: columns::count(row, "backoff_seconds")?,
            timeout_seconds: columns::count(row, "timeout_seconds")?,
            ttl_seconds: columns::count(row, "ttl_seconds")?,
            suspended: row.try_get("suspended")?,
            epoch: columns::epoch(row, "lease_epoch")?,
            scorer: row.try_get("scorer")?,
            not_before: columns::optional_timestamp(row, "not_before")?,
            delay: columns::milliseconds(row, "delay_ms")?,
            version: row.try_get("version")?,
            mirrored_version: row.try_get("mirrored_version")?,
            mirror: mirror(row)?,
            created_at: columns::timestamp(row, "created_at")?,
            queued_at: columns::optional_timestamp(row, "queued_at")?,
            started_at: columns::optional_timestamp(row, "started_at")?,
            completed_at: columns::optional_timestamp(row, "completed_at")?,
            traceparent: row.try_get("traceparent")?,
        })
    }
}

fn mirror(row: &PgRow) -> Result<Mirror, sqlx::Error> {
    Ok(match row.try_get::<Option<&str>, _>("resource_kind")? {
        None => Mirror::None,
        Some("job") => Mirror::Job {
            namespace: row.try_get("resource_namespace")?,
            name: row.try_get("resource_name")?,
            uid: row.try_get("resource_uid")?,
        },
        Some("batch") => Mirror::Batch,
        Some(_) => Mirror::Gone { uid: row.try_get("resource_uid")? },
    })
}

//! Showing dead letters: jobs that ended without a score.

use domain::{AttemptOutcome, BatchId, Cause, JobId, JobStatus};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use crate::row::job_columns;
use crate::{AttemptRow, Cursor, JobRow, Store, StoreError, columns};

/// A job that ended without a score.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// The job.
    pub job: JobRow,
    /// What ended it, if its attempts are still kept.
    pub cause: Option<Cause>,
    /// The job it was redriven as, if it was.
    pub successor: Option<Successor>,
}

/// The job that a dead letter was redriven as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Successor {
    /// The job.
    pub job: JobId,
    /// Where it stands; nothing when its row is no longer kept.
    pub status: Option<JobStatus>,
    /// When it was made.
    pub at: Timestamp,
}

/// Which dead letters are meant. Each choice narrows what the others leave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterFilter {
    /// Only those with this error code.
    pub code: Option<String>,
    /// Only those of this pool.
    pub pool: Option<String>,
    /// Only those scored under the rubric of this name.
    pub rubric: Option<String>,
    /// Only those of this tenant.
    pub tenant: Option<String>,
    /// Only members of this batch.
    pub batch: Option<BatchId>,
    /// Only those that ended at this time or later.
    pub from: Option<Timestamp>,
    /// Only those that ended before this time.
    pub until: Option<Timestamp>,
    /// Only those that were redriven, or only those that were not.
    pub redriven: Option<bool>,
}

/// A page of a list of dead letters.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetterPage {
    /// The dead letters; those that ended last come first.
    pub letters: Vec<DeadLetter>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
}

/// A dead letter with all that is on record about it.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetterDetail {
    /// The dead letter.
    pub letter: DeadLetter,
    /// Its attempts, in their order.
    pub attempts: Vec<AttemptRow>,
    /// Its redrives, in their order.
    pub redrives: Vec<RedriveRow>,
    /// The dead letter that it is a redrive of, if it is one.
    pub redrive_of: Option<JobId>,
}

/// Who redrove a dead letter, as the audit log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedriveRow {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// The job that came of it.
    pub new_job: JobId,
    /// Where that one stands; nothing when its row is no longer kept.
    pub status: Option<JobStatus>,
}

impl FromRow<'_, PgRow> for DeadLetter {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let job = JobRow::from_row(row)?;
        let last: Option<AttemptOutcome> = columns::optional_named(row, "last_outcome")?;
        let cause = job.error_code.as_ref().and_then(|code| Cause::of(code, last));
        let successor: Option<JobId> = row.try_get("successor")?;
        let successor = successor.map(|job| {
            let status = columns::optional_named(row, "successor_status")?;
            Ok::<_, sqlx::Error>(Successor { job, status, at: columns::timestamp(row, "redriven_at")? })
        });
        Ok(DeadLetter { job, cause, successor: successor.transpose()? })
    }
}

impl FromRow<'_, PgRow> for RedriveRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(RedriveRow {
            by: row.try_get("actor")?,
            at: columns::timestamp(row, "at")?,
            new_job: row.try_get("new_job")?,
            status: columns::optional_named(row, "status")?,
        })
    }
}

/// Dead letters under a condition. In ERROR is said as the index `scoring_jobs_dead` says it. The successor is looked up
/// row by row (LATERAL with LIMIT): a plan from when nothing had been redriven would compare each with all of them.
macro_rules! letters {
    ($condition:literal) => {
        concat!(
            "SELECT ",
            job_columns!(),
            ", (SELECT a.outcome FROM scoring_attempts a WHERE a.job_id = j.id ORDER BY a.lease_epoch DESC LIMIT 1)
    AS last_outcome,
  r.new_job AS successor, r.at AS redriven_at, r.status AS successor_status
FROM scoring_jobs j LEFT JOIN LATERAL (
  SELECT r.job_id, r.new_job, r.at, coalesce(
    (SELECT n.status FROM scoring_jobs n WHERE n.id = r.new_job),
    (SELECT h.status FROM scoring_history h WHERE h.id = r.new_job)) AS status
  FROM redrives r WHERE r.job_id = j.id LIMIT 1
) r ON TRUE
WHERE j.completed_at IS NOT NULL AND j.score IS NULL AND ",
            $condition,
            " AND ($2::text IS NULL OR j.tenant = $2) AND ($3::text IS NULL OR j.owner = $3)"
        )
    };
}

macro_rules! list {
    ($condition:literal) => {
        concat!(
            letters!($condition),
            " AND ($4::text IS NULL OR j.tenant = $4)
  AND ($5::text IS NULL OR j.error_code = $5)
  AND ($6::text IS NULL OR j.pool = $6)
  AND ($7::text IS NULL OR j.rubric = $7)
  AND ($8::boolean IS NULL OR (r.job_id IS NOT NULL) = $8)
  AND j.completed_at >= coalesce($9::timestamptz, '-infinity')
  AND j.completed_at < coalesce($10::timestamptz, 'infinity')
  AND (j.completed_at, j.id) < (coalesce($11::timestamptz, 'infinity'), coalesce($12::uuid, $13::uuid))
ORDER BY j.completed_at DESC, j.id DESC LIMIT $14"
        )
    };
}

const ONE: &str = letters!("j.id = $1");

// Each has an index, which a single statement with optional conditions could not use.
const OF_ALL: &str = list!("($1::uuid IS NULL OR TRUE)");
const OF_TENANT: &str = list!("($1::uuid IS NULL OR TRUE) AND j.tenant = coalesce($2, $4)");
const OF_BATCH: &str = list!("j.batch_id = $1");

const REDRIVES: &str = "
SELECT a.actor, a.at, (a.detail ->> 'new_job')::uuid AS new_job, n.status
FROM audit_log a LEFT JOIN scoring_jobs n ON n.id = ANY (ARRAY[(a.detail ->> 'new_job')::uuid])
WHERE a.job_id = $1 AND a.action = 'redrive' ORDER BY a.id";

// By way of the submission, whose jobs are few.
const REDRIVE_OF: &str = "
SELECT r.job_id FROM scoring_jobs n
CROSS JOIN LATERAL (SELECT id FROM scoring_jobs WHERE submission_id = n.submission_id OFFSET 0) j
CROSS JOIN LATERAL (SELECT job_id FROM redrives WHERE job_id = j.id AND new_job = n.id LIMIT 1) r
WHERE n.id = $1";

impl Store {
    /// A page of dead letters; those that ended last come first, so that what dies while pages are read comes before
    /// the first and not into a later one.
    ///
    /// # Errors
    /// When Postgres does not answer, or refuses the text of a choice.
    pub async fn dead_letters(
        &self,
        filter: &DeadLetterFilter,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<DeadLetterPage, StoreError> {
        let limit = limit.max(1);
        let statement = if filter.batch.is_some() {
            OF_BATCH
        } else if self.scope.tenant().or(filter.tenant.as_deref()).is_some() {
            OF_TENANT
        } else {
            OF_ALL
        };
        let query = sqlx::query_as(statement)
            .bind(filter.batch)
            .bind(self.scope.tenant())
            .bind(self.scope.owner())
            .bind(filter.tenant.as_deref())
            .bind(filter.code.as_deref())
            .bind(filter.pool.as_deref())
            .bind(filter.rubric.as_deref())
            .bind(filter.redriven)
            .bind(filter.from.map(ToSqlx::to_sqlx))
            .bind(filter.until.map(ToSqlx::to_sqlx))
            .bind(after.map(|cursor| cursor.at.to_sqlx()))
            .bind(after.map(|cursor| cursor.id))
            .bind(JobId::max())
            // One more tells whether there is a next page.
            .bind(i64::from(limit) + 1);
        let mut letters: Vec<DeadLetter> = self.all(query).await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = letters.len() > limit;
        letters.truncate(limit);
        let cursor = |letter: &DeadLetter| Some(Cursor { at: letter.job.completed_at?, id: letter.job.id });
        let next = letters.last().filter(|_| more).and_then(cursor);
        Ok(DeadLetterPage { letters, next })
    }

    /// All about one dead letter; nothing when there is no such job, or it has not ended without a score.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn dead_letter(&self, job: JobId) -> Result<Option<DeadLetterDetail>, StoreError> {
        let query = sqlx::query_as(ONE).bind(job).bind(self.scope.tenant()).bind(self.scope.owner());
        let Some(letter) = self.optional(query).await? else {
            return Ok(None);
        };
        let attempts = self.attempts(job).await?;
        let redrives = self.all(sqlx::query_as(REDRIVES).bind(job)).await?;
        let redrive_of: Option<(JobId,)> = self.optional(sqlx::query_as(REDRIVE_OF).bind(job)).await?;
        Ok(Some(DeadLetterDetail { letter, attempts, redrives, redrive_of: redrive_of.map(|(job,)| job) }))
    }
}

//! Starting attempts: `domain::transition::start` as one statement.

use std::cmp::Reverse;

use domain::{Epoch, JobId, Pool, Rank, SubmissionId};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use crate::rounds::rounds;
use crate::{Store, StoreError, columns};

/// A scorer that claimed a job wants to start it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartRequest {
    /// The job.
    pub job: JobId,
    /// The epoch of the claim.
    pub epoch: Epoch,
    /// The scorer's name.
    pub scorer: String,
}

/// What a scorer needs to score a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// The job.
    pub job: JobId,
    /// What is scored.
    pub submission_id: SubmissionId,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// How many the job may spend.
    pub max_attempts: u32,
    /// How long this attempt may take.
    pub timeout_seconds: u32,
    /// The job's pool.
    pub pool: Pool,
    /// The job's place in the queue, should it return there.
    pub rank: Rank,
    /// The rubric's name.
    pub rubric: String,
    /// The rubric's version.
    pub rubric_version: String,
    /// The W3C trace context of the request that made the job.
    pub traceparent: Option<String>,
    /// The submission's content as JSON text.
    pub content: String,
}

/// What came of the wish to start a job; see `domain::transition::Start`.
#[derive(Clone, Debug, PartialEq)]
pub enum Started {
    /// The attempt begins. `lost` is the epoch of an earlier attempt that never ended, now recorded as lost.
    Started {
        /// What to score.
        work: Work,
        /// The earlier attempt's epoch.
        lost: Option<Epoch>,
    },
    /// This very claim has started it already.
    AlreadyStarted {
        /// What to score.
        work: Work,
    },
    /// The earlier attempt never ended and was the last: the job is now in ERROR.
    Exhausted {
        /// The lost attempt's epoch.
        lost: Epoch,
    },
    /// The job has ended.
    Ended,
    /// The job is held back.
    Suspended,
    /// The claim is not newer than the row's epoch.
    Stale {
        /// The row's epoch.
        newest: Epoch,
    },
    /// There is no such job: the queue knows more than Postgres does, say after a restore.
    Unknown,
}

// Rows are locked in the order of their ids, so that calls which meet wait for each other one way only. A lock gives
// the newest version of its row, whatever the statement's snapshot, so the decision is always made on the truth.
// Times are kept in order by greatest(): now() is when this call began, possibly before whatever it waited for.
const START: &str = "
WITH item AS (
  SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[]) WITH ORDINALITY AS t (job, epoch, scorer, ord)
), held AS (
  SELECT j.id, j.submission_id, j.status, j.suspended, j.attempt, j.max_attempts, j.lease_epoch,
    j.scorer AS holder, j.created_at, j.started_at, j.timeout_seconds, j.pool, j.priority, j.rubric,
    j.rubric_version, j.traceparent
  FROM item i JOIN scoring_jobs j ON j.id = i.job
  ORDER BY j.id FOR NO KEY UPDATE OF j
), decided AS (
  SELECT i.ord, i.job, i.epoch, i.scorer, h.*, CASE
    WHEN h.id IS NULL THEN 'unknown'
    WHEN h.status IN ('DONE', 'ERROR') THEN 'ended'
    WHEN h.status = 'RUNNING' AND i.epoch = h.lease_epoch THEN 'already_started'
    WHEN i.epoch <= h.lease_epoch THEN 'stale'
    WHEN h.status = 'RUNNING' AND h.attempt >= h.max_attempts THEN 'exhausted'
    WHEN h.status = 'QUEUED' AND h.suspended THEN 'suspended'
    ELSE 'started' END AS decision
  FROM item i LEFT JOIN held h ON h.id = i.job
), lost AS (
  INSERT INTO scoring_attempts (job_id, lease_epoch, attempt, scorer, started_at, ended_at, outcome, error_code,
    message)
  SELECT job, lease_epoch, attempt, holder, started_at, greatest(now(), started_at), 'lease_lost', 'lease_lost',
    format('%s went unheard until its lease ran out; %s took over', holder, scorer)
  FROM decided WHERE status = 'RUNNING' AND decision IN ('started', 'exhausted')
), changed AS (
  UPDATE scoring_jobs j SET
    status = CASE decision WHEN 'started' THEN 'RUNNING' ELSE 'ERROR' END,
    lease_epoch = d.epoch,
    version = version + 1,
    attempt = d.attempt + CASE decision WHEN 'started' THEN 1 ELSE 0 END,
    scorer = CASE decision WHEN 'started' THEN d.scorer ELSE holder END,
    started_at = CASE decision WHEN 'started' THEN greatest(now(), d.created_at) ELSE d.started_at END,
    completed_at = CASE decision WHEN 'exhausted' THEN greatest(now(), d.started_at) END,
    resource_kind = CASE decision WHEN 'exhausted' THEN coalesce(resource_kind, 'none') ELSE resource_kind END,
    error_code = CASE WHEN d.status = 'RUNNING' THEN 'lease_lost' ELSE error_code END,
    error_message = CASE WHEN d.status = 'RUNNING'
      THEN format('%s went unheard in attempt %s until its lease ran out', holder, d.attempt)
      ELSE error_message END,
    feedback = CASE decision WHEN 'exhausted' THEN format(
      'Not scored: the scorer (%s) went unheard in attempt %s of %s, the last one. Something about the submission '
      'may be stopping scorers.', holder, d.attempt, d.max_attempts) END
  FROM decided d WHERE j.id = d.job AND decision IN ('started', 'exhausted')
)
SELECT d.job, d.decision, d.status = 'RUNNING' AS was_running, d.lease_epoch, d.submission_id,
  d.attempt + CASE decision WHEN 'started' THEN 1 ELSE 0 END AS attempt, d.max_attempts, d.timeout_seconds, d.pool,
  d.priority, d.created_at, d.rubric, d.rubric_version, d.traceparent, s.content::text AS content
FROM decided d
LEFT JOIN submissions s ON s.id = d.submission_id AND decision IN ('started', 'already_started')
ORDER BY d.ord";

impl FromRow<'_, PgRow> for Started {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let lost = || columns::epoch(row, "lease_epoch");
        Ok(match row.try_get::<&str, _>("decision")? {
            "started" => Started::Started {
                work: work(row)?,
                lost: if row.try_get("was_running")? { Some(lost()?) } else { None },
            },
            "already_started" => Started::AlreadyStarted { work: work(row)? },
            "exhausted" => Started::Exhausted { lost: lost()? },
            "ended" => Started::Ended,
            "suspended" => Started::Suspended,
            "stale" => Started::Stale { newest: columns::epoch(row, "lease_epoch")? },
            _ => Started::Unknown,
        })
    }
}

fn work(row: &PgRow) -> Result<Work, sqlx::Error> {
    let created_at_ms = columns::timestamp(row, "created_at")?.as_millisecond();
    Ok(Work {
        job: row.try_get("job")?,
        submission_id: row.try_get("submission_id")?,
        attempt: columns::count(row, "attempt")?,
        max_attempts: columns::count(row, "max_attempts")?,
        timeout_seconds: columns::count(row, "timeout_seconds")?,
        pool: columns::pool(row, "pool")?,
        rank: Rank::new(columns::priority(row, "priority")?, u64::try_from(created_at_ms).unwrap_or(0)),
        rubric: row.try_get("rubric")?,
        rubric_version: row.try_get("rubric_version")?,
        traceparent: row.try_get("traceparent")?,
        content: row.try_get("content")?,
    })
}

impl Store {
    /// Starts claimed jobs, each on its own: the answers come in the order of the requests. May be repeated as it is
    /// after an error; what had been started then answers `AlreadyStarted`.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn start(&self, requests: &[StartRequest]) -> Result<Vec<Started>, StoreError> {
        // A scorer that could not reach Postgres for longer than its lease may have claimed a job of its own again,
        // and asks for both claims at once. The newest goes first, so that the older one spends no attempt.
        let mut newest_first: Vec<usize> = (0..requests.len()).collect();
        newest_first.sort_by_key(|at| Reverse(requests[*at].epoch));
        let mut answers = vec![Started::Unknown; requests.len()];
        for round in rounds(newest_first.iter().map(|at| requests[*at].job)) {
            let asked: Vec<usize> = round.into_iter().map(|position| newest_first[position]).collect();
            let jobs: Vec<Uuid> = asked.iter().map(|at| requests[*at].job).collect();
            let epochs: Vec<i64> = asked.iter().map(|at| requests[*at].epoch.0).collect();
            let scorers: Vec<&str> = asked.iter().map(|at| requests[*at].scorer.as_str()).collect();
            let started = self.all(sqlx::query_as(START).bind(jobs).bind(epochs).bind(scorers)).await?;
            for (at, answer) in asked.into_iter().zip(started) {
                answers[at] = answer;
            }
        }
        Ok(answers)
    }
}

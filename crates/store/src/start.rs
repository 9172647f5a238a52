//! Starting attempts: `domain::transition::start` as one statement.

use std::cmp::Reverse;
use std::time::Duration;

use domain::transition::TakenOver;
use domain::{AttemptOutcome, Epoch, JobId, JobStatus, Rank};
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
    /// The epoch of the job's last lease when that is known to have run out; otherwise [`Epoch::NONE`].
    pub expired: Epoch,
    /// The scorer's name.
    pub scorer: String,
}

/// What a scorer needs to score a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// The job.
    pub job: JobId,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// How long the job waits before its first retry.
    pub backoff_seconds: u32,
    /// How long this attempt may take.
    pub timeout_seconds: u32,
    /// The job's place in the queue, should it return there.
    pub rank: Rank,
    /// The rubric's name.
    pub rubric: String,
    /// The rubric's version.
    pub rubric_version: String,
    /// The submission's content as JSON text.
    pub content: String,
    /// How long it has been due: since it was accepted, or since the end of its delay or backoff. Zero when the attempt
    /// took over from another.
    pub waited: Duration,
    /// How long ago it was accepted.
    pub age: Duration,
    /// The W3C trace context of the request that made it.
    pub traceparent: Option<String>,
}

/// What came of the wish to start a job; see `domain::transition::Start`.
#[derive(Clone, Debug, PartialEq)]
pub enum Started {
    /// The attempt begins.
    Started {
        /// What to score.
        work: Work,
        /// An earlier attempt that this one ended, now recorded.
        taken_over: Option<TakenOver>,
    },
    /// This very claim has started it already.
    AlreadyStarted {
        /// What to score.
        work: Work,
    },
    /// The earlier attempt never ended, and was the last or one crash too many: the job is now in ERROR.
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
  SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[])
  WITH ORDINALITY AS t (job, epoch, expired, scorer, ord)
), held AS (
  SELECT j.id, j.submission_id, j.tenant, j.status, j.suspended, j.attempt, j.max_attempts, j.lease_epoch,
    j.scorer AS holder, j.created_at, j.started_at, j.not_before, j.backoff_seconds, j.timeout_seconds, j.priority,
    j.rubric, j.rubric_version, j.traceparent
  FROM item i JOIN scoring_jobs j ON j.id = ANY (ARRAY[i.job])
  ORDER BY i.job FOR NO KEY UPDATE OF j
), seen AS (
  SELECT i.*, h.*, h.status = 'RUNNING' AND h.lease_epoch = i.expired AS lost,
    h.attempt + CASE WHEN h.status = 'RUNNING' AND h.lease_epoch <> i.expired THEN 0 ELSE 1 END AS next_attempt
  FROM item i LEFT JOIN held h ON h.id = i.job
), decided AS (
  SELECT *, CASE
    WHEN id IS NULL THEN 'unknown'
    WHEN status IN ('DONE', 'ERROR') THEN 'ended'
    WHEN status = 'RUNNING' AND epoch = lease_epoch THEN 'already_started'
    WHEN epoch <= lease_epoch THEN 'stale'
    WHEN lost AND attempt >= max_attempts THEN 'exhausted'
    WHEN status = 'QUEUED' AND suspended THEN 'suspended'
    ELSE 'started' END AS decision
  FROM seen
), taken_over AS (
  INSERT INTO scoring_attempts (job_id, lease_epoch, attempt, scorer, started_at, ended_at, outcome, error_code,
    message)
  SELECT job, lease_epoch, attempt, holder, started_at, greatest(now(), started_at),
    CASE WHEN lost THEN 'lease_lost' ELSE 'released' END, CASE WHEN lost THEN 'lease_lost' END,
    format(CASE WHEN lost THEN '%s went unheard until its lease ran out; %s took over'
      ELSE '%s no longer had a lease on the queue; %s took over' END, holder, scorer)
  FROM decided WHERE status = 'RUNNING' AND decision IN ('started', 'exhausted')
), counted AS (
  INSERT INTO tenant_active_jobs (tenant, jobs)
  SELECT tenant, -count(*) FROM decided WHERE decision = 'exhausted' GROUP BY tenant
), changed AS (
  UPDATE scoring_jobs j SET
    status = CASE decision WHEN 'started' THEN 'RUNNING' ELSE 'ERROR' END,
    lease_epoch = d.epoch,
    version = version + 1,
    attempt = CASE decision WHEN 'started' THEN d.next_attempt ELSE d.attempt END,
    scorer = CASE decision WHEN 'started' THEN d.scorer ELSE holder END,
    started_at = CASE decision WHEN 'started' THEN greatest(now(), d.created_at) ELSE d.started_at END,
    completed_at = CASE decision WHEN 'exhausted' THEN greatest(now(), d.started_at) END,
    resource_kind = CASE decision WHEN 'exhausted' THEN coalesce(resource_kind, 'none') ELSE resource_kind END,
    error_code = CASE WHEN lost THEN 'lease_lost' ELSE error_code END,
    error_message = CASE WHEN lost
      THEN format('%s went unheard in attempt %s until its lease ran out', holder, d.attempt)
      ELSE error_message END,
    feedback = CASE decision WHEN 'exhausted' THEN format(
      'Not scored: the scorer (%s) went unheard in attempt %s of %s, the last one. Something about the submission '
      'may be stopping scorers.', holder, d.attempt, d.max_attempts) END
  FROM decided d WHERE j.id = ANY (ARRAY[d.job]) AND decision IN ('started', 'exhausted')
), content AS MATERIALIZED (
  SELECT d.ord, s.content::text AS words
  FROM decided d JOIN submissions s ON s.id = ANY (ARRAY[d.submission_id]) WHERE decision IN ('started', 'already_started')
)
SELECT d.job, d.decision, d.lost, d.status, d.lease_epoch,
  CASE decision WHEN 'started' THEN next_attempt ELSE attempt END AS attempt, d.backoff_seconds, d.timeout_seconds,
  d.tenant, d.priority, d.created_at, d.rubric, d.rubric_version, d.traceparent,
  extract(epoch FROM clock_timestamp() - d.created_at)::double precision AS age,
  CASE WHEN d.status = 'QUEUED'
    THEN extract(epoch FROM clock_timestamp() - greatest(d.created_at, d.not_before))::double precision END AS waited,
  CASE WHEN sum(octet_length(c.words)) OVER (ORDER BY d.ord) <= $5 THEN c.words END AS content
FROM decided d LEFT JOIN content c USING (ord)
ORDER BY d.ord";

/// As much content as one answer carries, in bytes. It has to arrive within the deadline of a call, so what is beyond
/// that is read by calls of its own.
const MOST_CONTENT: i64 = 8 * 1024 * 1024;

const CONTENT: &str = "
SELECT s.content::text FROM scoring_jobs j JOIN submissions s ON s.id = ANY (ARRAY[j.submission_id]) WHERE j.id = $1";

/// The answer to one request; what is to be scored may be missing.
struct Answer {
    started: Started,
    lacks_content: bool,
}

impl FromRow<'_, PgRow> for Answer {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let content: Option<String> = row.try_get("content")?;
        let lacks_content = content.is_none();
        let work = || work(row, content.unwrap_or_default());
        let started = match row.try_get::<&str, _>("decision")? {
            "started" => Started::Started { work: work()?, taken_over: taken_over(row)? },
            "already_started" => Started::AlreadyStarted { work: work()? },
            "exhausted" => Started::Exhausted { lost: columns::epoch(row, "lease_epoch")? },
            "ended" => Started::Ended,
            "suspended" => Started::Suspended,
            "stale" => Started::Stale { newest: columns::epoch(row, "lease_epoch")? },
            _ => Started::Unknown,
        };
        Ok(Answer { started, lacks_content })
    }
}

fn taken_over(row: &PgRow) -> Result<Option<TakenOver>, sqlx::Error> {
    if columns::status(row, "status")? != JobStatus::Running {
        return Ok(None);
    }
    let outcome = if row.try_get("lost")? { AttemptOutcome::LeaseLost } else { AttemptOutcome::Released };
    Ok(Some(TakenOver { epoch: columns::epoch(row, "lease_epoch")?, outcome }))
}

fn work(row: &PgRow, content: String) -> Result<Work, sqlx::Error> {
    Ok(Work {
        job: row.try_get("job")?,
        attempt: columns::count(row, "attempt")?,
        backoff_seconds: columns::count(row, "backoff_seconds")?,
        timeout_seconds: columns::count(row, "timeout_seconds")?,
        rank: columns::rank(row)?,
        rubric: row.try_get("rubric")?,
        rubric_version: row.try_get("rubric_version")?,
        content,
        waited: columns::seconds(row, "waited")?,
        age: columns::seconds(row, "age")?,
        traceparent: row.try_get("traceparent")?,
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
            let expired: Vec<i64> = asked.iter().map(|at| requests[*at].expired.0).collect();
            let scorers: Vec<&str> = asked.iter().map(|at| requests[*at].scorer.as_str()).collect();
            let query = sqlx::query_as(START).bind(jobs).bind(epochs).bind(expired).bind(scorers);
            let started: Vec<Answer> = self.keeping_plans().all(query.bind(MOST_CONTENT)).await?;
            for (at, answer) in asked.into_iter().zip(started) {
                answers[at] = self.completed(answer).await?;
            }
        }
        Ok(answers)
    }

    /// The answer with the content that it lacks.
    async fn completed(&self, answer: Answer) -> Result<Started, StoreError> {
        let Answer { mut started, lacks_content } = answer;
        if let Started::Started { work, .. } | Started::AlreadyStarted { work } = &mut started
            && lacks_content
        {
            let content: Option<(String,)> = self.optional(sqlx::query_as(CONTENT).bind(work.job)).await?;
            (work.content,) = content.unwrap_or_default();
        }
        Ok(started)
    }
}

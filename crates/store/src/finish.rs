//! Ending attempts: `domain::transition::finish` as one statement.

use std::time::Duration;

use domain::transition::{MOST_CRASHES, Verdict};
use domain::{Epoch, ErrorCode, JobId, JobStatus};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use crate::rounds::rounds;
use crate::text::{json_without_nul, without_nul};
use crate::{BatchResult, InvalidItem, Store, StoreError, columns};

/// A scorer ends its attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct FinishRequest {
    /// The job.
    pub job: JobId,
    /// The epoch under which it was started.
    pub epoch: Epoch,
    /// How the attempt ended.
    pub ending: Ending,
}

/// How an attempt ended, with what is to be recorded of it; see `domain::transition::Verdict`.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// There is a score.
    Done {
        /// 0 to 100.
        score: f64,
        /// What there is to say about it.
        feedback: String,
        /// The results of the single criteria, as JSON text.
        result: String,
    },
    /// It failed in a way that may pass: to be tried again after the delay, unless this was the last attempt.
    Retryable {
        /// Why, for machines.
        code: ErrorCode,
        /// Why, in words.
        message: String,
        /// How long to wait.
        delay: Duration,
    },
    /// The process that scored died of it: to be tried again after the delay, unless this was the last attempt or one
    /// crash too many. Its code is [`ErrorCode::CRASHED`].
    Crashed {
        /// How it died, in words.
        message: String,
        /// How long to wait.
        delay: Duration,
    },
    /// It failed in a way that will not pass.
    Permanent {
        /// Why, for machines.
        code: ErrorCode,
        /// Why, in words.
        message: String,
    },
    /// It is handed back unharmed.
    Released {
        /// Why, in words.
        message: String,
        /// How long to wait.
        delay: Duration,
    },
}

impl Ending {
    /// The verdict alone.
    pub fn verdict(&self) -> Verdict {
        match self {
            Ending::Done { .. } => Verdict::Done,
            Ending::Retryable { .. } => Verdict::Retryable,
            Ending::Crashed { .. } => Verdict::Crashed,
            Ending::Permanent { .. } => Verdict::Permanent,
            Ending::Released { .. } => Verdict::Released,
        }
    }
}

/// What came of the wish to end an attempt; see `domain::transition::Finish`.
#[derive(Clone, Debug, PartialEq)]
pub enum Finished {
    /// The verdict stands, by this call or by an earlier one.
    Recorded {
        /// Where the job stands now. `Queued` means that it is to be tried again.
        status: JobStatus,
        /// How long it is to wait before that, by the clock of Postgres.
        retry_after: Option<Duration>,
    },
    /// The job is no longer this scorer's: the verdict changes nothing.
    Refused,
}

// Locks like START. A row whose status or epoch has changed while the lock was waited for is checked again by
// Postgres, and drops out. An audit row is written exactly for the rows that are updated. A job that ends before it
// has a resource gets none.
const FINISH: &str = "
WITH item AS (
  SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::double precision[], $5::text[], $6::text[],
    $7::text[], $8::bigint[], $9::boolean[])
  WITH ORDINALITY AS t (job, epoch, outcome, score, words, result, code, delay_ms, crashed, ord)
), held AS (
  SELECT i.ord, j.id, j.tenant, j.attempt, j.max_attempts, j.crashes + CASE WHEN i.crashed THEN 1 ELSE 0 END AS crashes,
    j.scorer, j.started_at
  FROM item i JOIN scoring_jobs j
    ON j.id = ANY (ARRAY[i.job]) AND j.status = 'RUNNING' AND j.lease_epoch = i.epoch
  ORDER BY i.job FOR NO KEY UPDATE OF j
), decided AS (
  SELECT h.*, i.epoch, i.outcome, i.score, i.words, i.result::jsonb AS result, i.code, i.crashed,
    now() + i.delay_ms * INTERVAL '1 millisecond' AS due, greatest(now(), h.started_at) AS ended_at, CASE
      WHEN i.outcome = 'done' THEN 'DONE'
      WHEN i.outcome = 'released' THEN 'QUEUED'
      WHEN i.outcome = 'retryable' AND h.attempt < h.max_attempts AND h.crashes < $10 THEN 'QUEUED'
      ELSE 'ERROR' END AS next
  FROM item i JOIN held h USING (ord)
), recorded AS (
  INSERT INTO scoring_attempts (job_id, lease_epoch, attempt, scorer, started_at, ended_at, outcome, error_code,
    message)
  SELECT id, epoch, attempt, scorer, started_at, ended_at, outcome, code,
    CASE WHEN outcome <> 'done' THEN words END
  FROM decided
), counted AS (
  INSERT INTO tenant_active_jobs (tenant, jobs)
  SELECT tenant, -count(*) FROM decided WHERE next <> 'QUEUED' GROUP BY tenant
), changed AS (
  UPDATE scoring_jobs j SET
    status = next,
    version = version + 1,
    attempt = d.attempt - CASE outcome WHEN 'released' THEN 1 ELSE 0 END,
    crashes = d.crashes,
    score = d.score,
    feedback = CASE WHEN next = 'ERROR' AND crashed AND d.crashes >= $10 THEN format(
      'Not scored, and not tried again: %s attempts ended with the death of what made them, the last (attempt %s of '
      '%s) so: %s. Something about the submission may be stopping scorers.', d.crashes, d.attempt, d.max_attempts, words)
    WHEN next IN ('DONE', 'ERROR') THEN words END,
    result = d.result,
    error_code = CASE outcome WHEN 'done' THEN NULL WHEN 'released' THEN j.error_code ELSE code END,
    error_message = CASE outcome WHEN 'done' THEN NULL WHEN 'released' THEN j.error_message ELSE words END,
    not_before = CASE WHEN next = 'QUEUED' THEN due ELSE j.not_before END,
    started_at = CASE WHEN next <> 'QUEUED' THEN d.started_at END,
    completed_at = CASE WHEN next <> 'QUEUED' THEN ended_at END,
    resource_kind = CASE WHEN next <> 'QUEUED' THEN coalesce(resource_kind, 'none') ELSE resource_kind END
  FROM decided d WHERE j.id = ANY (ARRAY[d.id])
)
SELECT d.next, CASE WHEN d.next = 'QUEUED' THEN i.delay_ms END AS retry_ms
FROM item i LEFT JOIN decided d USING (ord)
ORDER BY i.ord";

// For what FINISH did not change, in a statement and thus a snapshot of its own: the verdict may have been recorded
// by an earlier call whose answer was lost. If the job has moved on since, it was queued in between.
const FIND_RECORDED: &str = "
SELECT CASE WHEN a.job_id IS NULL THEN NULL WHEN j.lease_epoch = i.epoch THEN j.status ELSE 'QUEUED' END AS next,
  CASE WHEN j.lease_epoch > i.epoch THEN 0 WHEN j.status = 'QUEUED'
    THEN greatest(0, ceil(extract(epoch FROM j.not_before - now()) * 1000))::bigint END AS retry_ms
FROM unnest($1::uuid[], $2::bigint[], $3::text[]) WITH ORDINALITY AS i (job, epoch, outcome, ord)
LEFT JOIN scoring_attempts a ON a.job_id = ANY (ARRAY[i.job]) AND a.lease_epoch = i.epoch AND a.outcome = i.outcome
LEFT JOIN scoring_jobs j ON j.id = ANY (ARRAY[a.job_id])
ORDER BY i.ord";

impl FromRow<'_, PgRow> for Finished {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        if row.try_get::<Option<&str>, _>("next")?.is_none() {
            return Ok(Finished::Refused);
        }
        let retry_after = row.try_get::<Option<i64>, _>("retry_ms")?.map(columns::from_milliseconds);
        Ok(Finished::Recorded { status: columns::status(row, "next")?, retry_after })
    }
}

impl Store {
    /// Ends attempts, each on its own: the answers come in the order of the requests. May be repeated as it is after
    /// an error; what had been recorded then is found.
    ///
    /// # Errors
    /// When Postgres does not answer. A verdict that Postgres cannot store is the error of its item alone.
    pub async fn finish(&self, requests: &[FinishRequest]) -> BatchResult<Finished> {
        let mut answers: Vec<Result<Finished, InvalidItem>> = vec![Ok(Finished::Refused); requests.len()];
        for round in rounds(requests.iter().map(|request| request.job)) {
            let asked: Vec<&FinishRequest> = round.iter().map(|at| &requests[*at]).collect();
            match self.finish_together(&asked).await {
                Ok(finished) => {
                    for (at, answer) in round.into_iter().zip(finished) {
                        answers[at] = Ok(answer);
                    }
                }
                Err(StoreError::Invalid { .. }) => {
                    for at in round {
                        answers[at] = match self.finish_together(&[&requests[at]]).await {
                            Ok(mut finished) => Ok(finished.pop().unwrap_or(Finished::Refused)),
                            Err(error) => Err(error.into_invalid_item()?),
                        };
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(answers)
    }

    async fn finish_together(&self, requests: &[&FinishRequest]) -> Result<Vec<Finished>, StoreError> {
        let mut rows = Rows::default();
        for request in requests {
            rows.push(request);
        }
        let Rows { jobs, epochs, outcomes, scores, words, results, codes, delays, crashed } = rows;
        let query = sqlx::query_as(FINISH)
            .bind(&jobs)
            .bind(&epochs)
            .bind(&outcomes)
            .bind(scores)
            .bind(words)
            .bind(results)
            .bind(codes)
            .bind(delays)
            .bind(crashed)
            .bind(i64::from(MOST_CRASHES));
        let mut answers: Vec<Finished> = self.keeping_plans().all(query).await?;
        let open: Vec<usize> = (0..answers.len()).filter(|at| answers[*at] == Finished::Refused).collect();
        if !open.is_empty() {
            let query = sqlx::query_as(FIND_RECORDED)
                .bind(open.iter().map(|at| jobs[*at]).collect::<Vec<_>>())
                .bind(open.iter().map(|at| epochs[*at]).collect::<Vec<_>>())
                .bind(open.iter().map(|at| outcomes[*at]).collect::<Vec<_>>());
            for (at, answer) in open.into_iter().zip(self.keeping_plans().all(query).await?) {
                answers[at] = answer;
            }
        }
        Ok(answers)
    }
}

/// The requests as columns.
#[derive(Default)]
struct Rows {
    jobs: Vec<Uuid>,
    epochs: Vec<i64>,
    outcomes: Vec<&'static str>,
    scores: Vec<Option<f64>>,
    words: Vec<String>,
    results: Vec<Option<String>>,
    codes: Vec<Option<String>>,
    delays: Vec<Option<i64>>,
    crashed: Vec<bool>,
}

impl Rows {
    fn push(&mut self, request: &FinishRequest) {
        self.jobs.push(request.job);
        self.epochs.push(request.epoch.0);
        let verdict = request.ending.verdict();
        self.outcomes.push(verdict.outcome().as_str());
        self.crashed.push(verdict == Verdict::Crashed);
        let (score, words, result, code, delay) = match &request.ending {
            Ending::Done { score, feedback, result } => (Some(*score), feedback, Some(result), None, None),
            Ending::Retryable { code, message, delay } => (None, message, None, Some(code), Some(*delay)),
            Ending::Crashed { message, delay } => {
                (None, message, None, Some(&ErrorCode::CRASHED), Some(*delay))
            }
            Ending::Permanent { code, message } => (None, message, None, Some(code), None),
            Ending::Released { message, delay } => (None, message, None, None, Some(*delay)),
        };
        self.scores.push(score);
        self.words.push(without_nul(words).into_owned());
        self.results.push(result.map(|json| json_without_nul(json).into_owned()));
        self.codes.push(code.map(|code| without_nul(code.as_str()).into_owned()));
        self.delays.push(delay.map(columns::to_milliseconds));
    }
}

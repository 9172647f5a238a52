//! What must hold when the faults are over and everything has come to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use testkit::{Seen, until};
use uuid::Uuid;

use super::ledger::{Inflicted, Notes};
use crate::order::misfits;
use crate::rows::{Attempt, Row};
use crate::world::World;

/// How long jobs may take to end once the faults are over: as long as the longest backoffs, leases and audits.
const SETTLED_WITHIN: Duration = Duration::from_secs(180);

/// How long statuses and the queue may lag behind rows that have ended.
const SHOWN_WITHIN: Duration = Duration::from_secs(120);

/// Something that should not be.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Whose history tells of it, if it is about one job.
    pub job: Option<Uuid>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

fn of_job(job: Uuid, what: impl Into<String>) -> Violation {
    Violation { job: Some(job), what: what.into() }
}

fn of_all(what: impl Into<String>) -> Violation {
    Violation { job: None, what: what.into() }
}

/// Waits until every request made with kubectl has become a job, and every job has ended. What is left at the limit is
/// for [`violations`] to name.
///
/// # Errors
/// When Postgres does not answer.
pub async fn settle(world: &World, notes: &Notes) -> Result<()> {
    const OPEN: &str = "
SELECT (SELECT count(*) FROM scoring_jobs WHERE completed_at IS NULL),
  (SELECT count(*) FROM unnest($1::uuid[]) AS requested (id)
    WHERE NOT EXISTS (SELECT FROM scoring_jobs j WHERE j.id = requested.id))";
    let _ = until("every request is a job that has ended", SETTLED_WITHIN, async || {
        let query = sqlx::query_as(OPEN).bind(&notes.requested);
        let (active, requested): (i64, i64) = query.fetch_one(&world.database.pool).await?;
        Ok(Seen::when(active + requested == 0, || format!("{active} are active, {requested} no jobs yet")))
    })
    .await;
    world.database.jobs().await.map(drop)
}

/// Everything that is wrong, by what Postgres, Redis, Kubernetes and the clients say.
///
/// # Errors
/// When one of them does not say anything.
pub async fn violations(world: &World, notes: &Notes, submissions: &[Uuid]) -> Result<Vec<Violation>> {
    let (rows, attempts) = (world.database.jobs().await?, world.database.attempts().await?);
    let mut violations = Vec::new();
    violations.extend(misfits(&rows, &attempts).into_iter().map(|(job, what)| of_job(job, what)));
    violations.extend(lost(&rows, notes, submissions));
    violations.extend(spent_in_vain(&attempts, &notes.faults));
    violations.extend(cancelled_in_vain(&rows, notes));
    violations.extend(unasked(&rows, notes));
    violations.extend(failed(&rows, &attempts));
    violations.extend(misjudged(world).await?);
    violations
        .extend(notes.ended_by_themselves.iter().map(|what| of_all(format!("ended by itself: {what}"))));
    violations.extend(redriven_in_vain(world).await?);
    violations.extend(panics(world)?);
    violations.extend(left_behind(world).await?);
    Ok(violations)
}

/// What was accepted and has no row; and if there are more jobs than anybody can have asked for, that.
fn lost(rows: &[Row], notes: &Notes, submissions: &[Uuid]) -> Vec<Violation> {
    let jobs: BTreeSet<Uuid> = rows.iter().map(|row| row.id).collect();
    let scored: BTreeSet<Uuid> = rows.iter().map(|row| row.submission_id).collect();
    let accepted = notes.jobs.keys().filter(|job| !jobs.contains(job));
    let accepted = accepted.map(|job| of_job(*job, format!("job {job} was accepted and has no row")));
    let requested = notes.requested.iter().filter(|job| !jobs.contains(job));
    let requested = requested.map(|job| of_job(*job, format!("ScoringJob {job} was made and has no row")));
    let in_batches = notes.in_batches.iter().chain(submissions).filter(|id| !scored.contains(id));
    let in_batches = in_batches.map(|id| of_all(format!("submission {id} was to be scored and has no job")));
    accepted.chain(requested).chain(in_batches).chain(too_many(rows, notes)).collect()
}

/// Jobs that no answer tells of are those whose answer was lost: there are no more of them than such answers.
fn too_many(rows: &[Row], notes: &Notes) -> Option<Violation> {
    let in_batches: BTreeSet<Uuid> = notes.in_batches.iter().copied().collect();
    let is_known = |row: &Row| {
        notes.jobs.contains_key(&row.id)
            || notes.redriven.contains(&row.id)
            || (row.batch_id.is_some() && in_batches.contains(&row.submission_id))
    };
    let unknown = rows.iter().filter(|row| !is_known(row)).count();
    let unanswered = [0, 503].iter().filter_map(|status| notes.answers.get(status)).sum::<usize>();
    (unknown > unanswered)
        .then(|| of_all(format!("{unknown} jobs that nobody asked for, {unanswered} lost answers")))
}

/// Attempts that were lost although nothing had happened to their scorer, so that a fault of the system was paid with
/// them.
fn spent_in_vain(attempts: &[Attempt], faults: &[Inflicted]) -> Vec<Violation> {
    let is_explained = |attempt: &Attempt| faults.iter().any(|fault| fault.explains_loss_of(attempt));
    let in_vain = attempts.iter().filter(|attempt| attempt.outcome == "lease_lost" && !is_explained(attempt));
    in_vain
        .map(|attempt| {
            of_job(attempt.job_id, format!("an attempt was lost with no fault of its scorer: {attempt:?}"))
        })
        .collect()
}

/// Jobs whose cancellation was confirmed, and that have ended otherwise.
fn cancelled_in_vain(rows: &[Row], notes: &Notes) -> Vec<Violation> {
    let by_id: BTreeMap<Uuid, &Row> = rows.iter().map(|row| (row.id, row)).collect();
    let is_cancelled =
        |job: &Uuid| by_id.get(job).is_some_and(|row| row.error_code.as_deref() == Some("cancelled"));
    let others = notes.cancelled.iter().filter(|job| !is_cancelled(job));
    others.map(|job| of_job(*job, format!("{job} was cancelled and is {:?}", by_id.get(job)))).collect()
}

/// Jobs that are cancelled although nobody asked for it.
fn unasked(rows: &[Row], notes: &Notes) -> Vec<Violation> {
    let asked = |row: &Row| {
        let told = notes.jobs.get(&row.id).into_iter().flatten();
        told.clone().any(|told| told.what.starts_with("DELETE") || told.what.starts_with("kubectl delete"))
    };
    let cancelled = rows.iter().filter(|row| row.error_code.as_deref() == Some("cancelled"));
    let unasked = cancelled.filter(|row| !asked(row));
    unasked.map(|row| of_job(row.id, format!("nobody asked to cancel {row:?}"))).collect()
}

/// What failed although every submission can be scored: only a cancellation, or the loss of scorer after scorer, is a
/// reason to end without a score, and no attempt fails by itself.
fn failed(rows: &[Row], attempts: &[Attempt]) -> Vec<Violation> {
    let by_itself = |code: &str| !matches!(code, "cancelled" | "lease_lost");
    let jobs =
        rows.iter().filter(|row| row.status == "ERROR" && row.error_code.as_deref().is_none_or(by_itself));
    let jobs = jobs.map(|row| of_job(row.id, format!("a good submission ended as {row:?}")));
    let known = |outcome: &str| matches!(outcome, "done" | "released" | "cancelled" | "lease_lost");
    let attempts = attempts.iter().filter(|attempt| !known(&attempt.outcome));
    let attempts = attempts.map(|attempt| of_job(attempt.job_id, format!("an attempt failed: {attempt:?}")));
    jobs.chain(attempts).collect()
}

/// Submissions that are alike but for their names have the same score and feedback under the same rubric, whatever
/// happened to whoever scored them.
async fn misjudged(world: &World) -> Result<Vec<Violation>> {
    const ALIKE: &str = "
SELECT CASE WHEN j.rubric LIKE 'held-%' THEN 'quick' ELSE j.rubric END AS rubric, length(s.content ->> 'code') > 10000 AS long,
  count(DISTINCT (j.score, j.feedback)) AS judgements
FROM scoring_jobs j JOIN submissions s ON s.id = j.submission_id
WHERE j.status = 'DONE' GROUP BY 1, 2 HAVING count(DISTINCT (j.score, j.feedback)) > 1";
    let kinds: Vec<(String, bool, i64)> = sqlx::query_as(ALIKE).fetch_all(&world.database.pool).await?;
    let misjudged = kinds.into_iter().map(|(rubric, long, judgements)| {
        of_all(format!("{judgements} different judgements of like submissions (long: {long}) under {rubric}"))
    });
    Ok(misjudged.collect())
}

/// Dead letters that were redriven as a job that is not there, or is another submission's.
async fn redriven_in_vain(world: &World) -> Result<Vec<Violation>> {
    const IN_VAIN: &str = "
SELECT r.job_id FROM redrives r
LEFT JOIN scoring_jobs old ON old.id = r.job_id LEFT JOIN scoring_jobs new ON new.id = r.new_job
WHERE new.submission_id IS DISTINCT FROM old.submission_id
  OR (SELECT count(*) FROM audit_log a WHERE a.job_id = r.job_id AND a.detail ->> 'new_job' = r.new_job::text) <> 1";
    let jobs: Vec<(Uuid,)> = sqlx::query_as(IN_VAIN).fetch_all(&world.database.pool).await?;
    Ok(jobs
        .into_iter()
        .map(|(job,)| of_job(job, format!("{job} was redriven, and not as one job")))
        .collect())
}

/// Panics in the logs.
fn panics(world: &World) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for service in world.stack.services() {
        let log = fs::read(service.log()).with_context(|| format!("read the log of {}", service.name()))?;
        let log = String::from_utf8_lossy(&log);
        let lines = log.lines().filter(|line| line.contains("panicked"));
        violations.extend(lines.map(|line| of_all(format!("{}: {line}", service.name()))));
    }
    Ok(violations)
}

/// What is left on Redis, in the table of what is to be queued, and among the resources, that the rows do not explain.
async fn left_behind(world: &World) -> Result<Vec<Violation>> {
    let mut last = Vec::new();
    let shown = until("nothing is left behind", SHOWN_WITHIN, async || {
        last = on_the_queue(world).await?;
        last.extend(world.differences().await?.into_iter().map(of_all));
        Ok(Seen::when(last.is_empty(), || format!("{} differences", last.len())))
    })
    .await;
    Ok(if shown.is_ok() { Vec::new() } else { last })
}

async fn on_the_queue(world: &World) -> Result<Vec<Violation>> {
    const KEYS: [(&str, &str); 6] = [
        ("ZCARD", "ready"),
        ("ZCARD", "delayed"),
        ("ZCARD", "leases"),
        ("HLEN", "ranks"),
        ("HLEN", "epochs"),
        ("HLEN", "expired"),
    ];
    const UNQUEUED: &str = "SELECT count(*) FROM scoring_unqueued";
    let redis = world.stack.own_redis()?;
    let mut left = Vec::new();
    for (command, key) in KEYS {
        let answer = redis.command(&format!("{command} {{assay:default}}:{key}")).await?;
        if answer != ":0" {
            left.push(of_all(format!("{key} on Redis holds {answer}, and all jobs have ended")));
        }
    }
    let (unqueued,): (i64,) = sqlx::query_as(UNQUEUED).fetch_one(&world.database.pool).await?;
    if unqueued > 0 {
        left.push(of_all(format!("{unqueued} jobs are noted as not queued, and all have ended")));
    }
    Ok(left)
}

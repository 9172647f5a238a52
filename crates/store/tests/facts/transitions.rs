//! The statements do exactly what `domain::transition` says, for every state and event.

use anyhow::{Context, Result};
use domain::transition::{self, Cancel, Finish, JobState, MOST_CRASHES, Start, Verdict};
use domain::{AttemptOutcome, Epoch, ErrorCode, JobId, JobStatus};
use sqlx::AssertSqlSafe;
use store::{CancelRequest, Cancelled, Ending, Finished, Started};
use uuid::Uuid;

use crate::database::{Database, done, finish, start_after};

const MAX_ATTEMPTS: u32 = MOST_CRASHES + 1;
/// Of a job that was ever started; events come with an older, the same and a newer one.
const NEWEST: Epoch = Epoch(10);
const EPOCHS: [Epoch; 3] = [Epoch(9), NEWEST, Epoch(12)];
/// Whose lease is known to have run out: nobody's, an older attempt's, the running one's, that of a claim which never
/// started.
const EXPIRED: [Epoch; 4] = [Epoch::NONE, Epoch(9), NEWEST, Epoch(11)];

/// Every state that a job can be in, with as few attempts as show each rule: one more than the crashes it may have.
fn states() -> Vec<JobState> {
    let mut states = Vec::new();
    for status in JobStatus::ALL {
        for attempt in 0..=MAX_ATTEMPTS {
            for epoch in [Epoch::NONE, NEWEST] {
                for (crashes, suspended) in
                    (0..=attempt).flat_map(|crashes| [(crashes, false), (crashes, true)])
                {
                    let max_attempts = MAX_ATTEMPTS;
                    let state = JobState { status, epoch, attempt, max_attempts, crashes, suspended };
                    if can_be(state) {
                        states.push(state);
                    }
                }
            }
        }
    }
    states
}

fn can_be(state: JobState) -> bool {
    let started = state.epoch > Epoch::NONE;
    let may_go_on = state.crashes < MOST_CRASHES;
    match state.status {
        JobStatus::Queued => {
            state.attempt < state.max_attempts && (started || state.attempt == 0) && may_go_on
        }
        // The running attempt has not crashed yet, and one that was scored never will.
        JobStatus::Running | JobStatus::Done => started && state.crashes < state.attempt && may_go_on,
        JobStatus::Error => (started || state.attempt == 0) && state.crashes <= MOST_CRASHES,
    }
}

/// Brings about a job in this state, by hand.
async fn job_in(database: &Database, state: JobState) -> Result<JobId> {
    let id = Uuid::now_v7();
    let submission = database.submission().await?;
    let JobState { status, epoch, attempt, max_attempts, crashes, suspended } = state;
    let ended = status.is_terminal();
    let started = matches!(status, JobStatus::Running | JobStatus::Done);
    let insert = format!(
        "INSERT INTO scoring_jobs (id, submission_id, tenant, rubric, rubric_version, status, lease_epoch, attempt, \
         max_attempts, crashes, suspended, started_at, scorer, completed_at, score, feedback, error_code) \
         VALUES ('{id}', '{submission}', 'default', 'default', '1', '{status}', {epoch}, {attempt}, {max_attempts}, \
         {crashes}, {suspended}, {}, 'scorer-10', {}, {}, {}, {})",
        if started { "now()" } else { "NULL" },
        if ended { "now()" } else { "NULL" },
        if status == JobStatus::Done { "50" } else { "NULL" },
        if ended { "'words'" } else { "NULL" },
        if status == JobStatus::Error { "'timeout'" } else { "NULL" },
    );
    sqlx::query(AssertSqlSafe(insert)).execute(&database.sql).await?;
    Ok(id)
}

async fn state_of(database: &Database, job: JobId) -> Result<JobState> {
    let row = database.row(job).await?;
    let crashes: i32 = sqlx::query_scalar("SELECT crashes FROM scoring_jobs WHERE id = $1")
        .bind(job)
        .fetch_one(&database.sql)
        .await?;
    Ok(JobState {
        status: row.status,
        epoch: row.epoch,
        attempt: row.attempt,
        max_attempts: row.max_attempts,
        crashes: u32::try_from(crashes)?,
        suspended: row.suspended,
    })
}

/// What the audit says of the job's attempts: epoch, number, outcome.
async fn audit_of(database: &Database, job: JobId) -> Result<Vec<(Epoch, u32, AttemptOutcome)>> {
    let attempts = database.store.attempts(job).await?;
    Ok(attempts.into_iter().map(|a| (a.epoch, a.attempt, a.outcome)).collect())
}

/// The jobs of all combinations of a state and an event, in one call, so that batches are tried as well.
struct Case<E> {
    job: JobId,
    before: JobState,
    event: E,
}

async fn cases<E: Copy>(database: &Database, events: &[E]) -> Result<Vec<Case<E>>> {
    let mut cases = Vec::new();
    for before in states() {
        for event in events {
            cases.push(Case { job: job_in(database, before).await?, before, event: *event });
        }
    }
    Ok(cases)
}

#[tokio::test]
async fn start_equals_the_state_machine_for_every_state_epoch_and_lease_that_ran_out() -> Result<()> {
    let database = Database::fresh().await?;
    let events: Vec<(Epoch, Epoch)> =
        EPOCHS.into_iter().flat_map(|epoch| EXPIRED.map(|expired| (epoch, expired))).collect();
    let cases = cases(&database, &events).await?;
    let request = |case: &Case<(Epoch, Epoch)>| start_after(case.event.1.0, case.job, case.event.0.0);
    let requests: Vec<_> = cases.iter().map(request).collect();
    let answers = database.store.start(&requests).await?;
    assert_eq!(answers.len(), cases.len());
    for (Case { job, before, event: (epoch, expired) }, answer) in cases.into_iter().zip(answers) {
        let context = format!("{before:?} started under {epoch} after {expired} ran out");
        let expected = transition::start(before, epoch, expired);
        let (next, ended) = match expected {
            Start::Started { next, taken_over } => (next, taken_over.map(|it| (it.epoch, it.outcome))),
            Start::Exhausted { next, lost } => (next, Some((lost, AttemptOutcome::LeaseLost))),
            _ => (before, None),
        };
        match (expected, answer) {
            (Start::Started { next, taken_over }, Started::Started { work, taken_over: recorded }) => {
                assert_eq!((work.job, work.attempt, recorded), (job, next.attempt, taken_over), "{context}");
                assert_eq!(work.content, r#"{"code": "1 + 1"}"#);
            }
            (Start::AlreadyStarted, Started::AlreadyStarted { work }) => {
                assert_eq!(work.attempt, before.attempt, "{context}");
            }
            (Start::Exhausted { lost, .. }, Started::Exhausted { lost: recorded }) => {
                assert_eq!(recorded, lost, "{context}");
            }
            (Start::Stale { newest }, Started::Stale { newest: told }) => {
                assert_eq!(told, newest, "{context}")
            }
            (Start::Ended, Started::Ended) | (Start::Suspended, Started::Suspended) => {}
            (expected, answer) => panic!("{context}: expected {expected:?}, got {answer:?}"),
        }
        assert_eq!(state_of(&database, job).await?, next, "{context}");
        let recorded: Vec<_> =
            ended.map(|(epoch, outcome)| (epoch, before.attempt, outcome)).into_iter().collect();
        assert_eq!(audit_of(&database, job).await?, recorded, "{context}");
    }
    Ok(())
}

fn ending(verdict: Verdict) -> Ending {
    let message = "words".to_owned();
    let delay = std::time::Duration::from_secs(60);
    match verdict {
        Verdict::Done => done(),
        Verdict::Retryable => Ending::Retryable { code: ErrorCode::TIMEOUT, message, delay },
        Verdict::Crashed => Ending::Crashed { message, delay },
        Verdict::Permanent => Ending::Permanent { code: ErrorCode::INVALID_CONTENT, message },
        Verdict::Released => Ending::Released { message, delay },
    }
}

#[tokio::test]
async fn finish_equals_the_state_machine_for_every_state_epoch_and_verdict() -> Result<()> {
    let database = Database::fresh().await?;
    let events: Vec<(Epoch, Verdict)> =
        EPOCHS.into_iter().flat_map(|epoch| Verdict::ALL.map(|verdict| (epoch, verdict))).collect();
    let cases = cases(&database, &events).await?;
    let requests: Vec<_> =
        cases.iter().map(|case| finish(case.job, case.event.0.0, ending(case.event.1))).collect();
    let answers = database.store.finish(&requests).await?;
    assert_eq!(answers.len(), cases.len());
    for (Case { job, before, event: (epoch, verdict) }, answer) in cases.into_iter().zip(answers) {
        let context = format!("{before:?} finished under {epoch} as {verdict:?}");
        match (transition::finish(before, epoch, verdict), answer?) {
            (Finish::Recorded { next }, Finished::Recorded { status, retry_after }) => {
                assert_eq!(status, next.status, "{context}");
                assert_eq!(retry_after.is_some(), status == JobStatus::Queued, "{context}");
                assert_eq!(state_of(&database, job).await?, next, "{context}");
                let recorded = (epoch, before.attempt, verdict.outcome());
                assert_eq!(audit_of(&database, job).await?, [recorded], "{context}");
            }
            (Finish::Refused, Finished::Refused) => {
                assert_eq!(state_of(&database, job).await?, before, "{context}");
                assert_eq!(audit_of(&database, job).await?, [], "{context}");
            }
            (expected, answer) => panic!("{context}: expected {expected:?}, got {answer:?}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn cancel_equals_the_state_machine_for_every_state() -> Result<()> {
    let database = Database::fresh().await?;
    let cases = cases(&database, &[()]).await?;
    let request =
        |case: &Case<()>| CancelRequest { job: case.job, by: "ann".to_owned(), reason: "why".to_owned() };
    let answers = database.store.cancel(&cases.iter().map(request).collect::<Vec<_>>()).await?;
    assert_eq!(answers.len(), cases.len());
    for (Case { job, before, .. }, answer) in cases.into_iter().zip(answers) {
        match (transition::cancel(before), answer) {
            (Cancel::Cancelled { next, attempt }, Cancelled::Cancelled { .. }) => {
                assert_eq!(state_of(&database, job).await?, next, "{before:?}");
                let recorded: Vec<_> = attempt
                    .map(|epoch| (epoch, before.attempt, AttemptOutcome::Cancelled))
                    .into_iter()
                    .collect();
                assert_eq!(audit_of(&database, job).await?, recorded, "{before:?}");
            }
            (Cancel::Ended, Cancelled::AlreadyEnded { status }) => {
                assert_eq!(status, before.status);
                assert_eq!(state_of(&database, job).await?, before, "{before:?}");
            }
            (expected, answer) => panic!("{before:?}: expected {expected:?}, got {answer:?}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_job_walks_through_its_attempts_as_the_state_machine_says() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.queued().await?;
    let mut state = state_of(&database, job).await?;
    for epoch in (1..).map(Epoch) {
        let Start::Started { next, .. } = transition::start(state, epoch, Epoch::NONE) else { break };
        database.start(job, epoch.0).await?;
        assert_eq!(state_of(&database, job).await?, next);
        let verdict = if epoch == Epoch(2) { Verdict::Released } else { Verdict::Retryable };
        let Finish::Recorded { next } = transition::finish(next, epoch, verdict) else { break };
        database
            .store
            .finish(&[finish(job, epoch.0, ending(verdict))])
            .await?
            .pop()
            .context("an answer")??;
        state = state_of(&database, job).await?;
        assert_eq!(state, next);
    }
    assert_eq!((state.status, state.attempt, state.epoch), (JobStatus::Error, 4, Epoch(5)));
    Ok(())
}

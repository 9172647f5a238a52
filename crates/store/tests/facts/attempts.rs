//! Starting and ending attempts, beyond what `transitions` covers: lost answers, races, poison, words.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use domain::transition::TakenOver;
use domain::{AttemptOutcome, Claim, Epoch, ErrorCode, JobStatus, Knobs, Lane, Rank};
use store::{CancelRequest, Ending, Finished, Mirror, Started, Tenure};
use tokio::sync::Barrier;
use uuid::Uuid;

use crate::database::{Database, done, finish, new_job, start, start_after};

const MINUTE: Duration = Duration::from_secs(60);

fn retryable() -> Ending {
    Ending::Retryable { code: ErrorCode::TIMEOUT, message: "took 61 s".to_owned(), delay: MINUTE }
}

#[tokio::test]
async fn a_started_attempt_brings_all_that_scoring_needs() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.queued_with(Knobs { backoff_seconds: 7, ..Knobs::default() }).await?;
    let Started::Started { work, taken_over: None } = database.start(job, 3).await? else {
        panic!("not started")
    };
    let row = database.row(job).await?;
    assert_eq!((work.job, work.attempt), (row.id, 1));
    assert_eq!((work.backoff_seconds, work.timeout_seconds), (7, 60));
    assert_eq!((work.rubric.as_str(), work.rubric_version.as_str()), ("default", "1"));
    let created_at_ms = u64::try_from(row.created_at.as_millisecond())?;
    assert_eq!(work.rank, Rank::new(Lane::of(&row.tenant), row.priority, created_at_ms));
    assert_eq!((row.status, row.scorer.as_deref(), row.version), (JobStatus::Running, Some("scorer-3"), 2));
    assert!(row.started_at.is_some());
    Ok(())
}

#[tokio::test]
async fn a_job_that_postgres_does_not_know_is_unknown() -> Result<()> {
    let database = Database::fresh().await?;
    assert_eq!(database.start(Uuid::now_v7(), 1).await?, Started::Unknown);
    let answers = database.store.finish(&[finish(Uuid::now_v7(), 1, done())]).await?;
    assert_eq!(answers, [Ok(Finished::Refused)]);
    Ok(())
}

#[tokio::test]
async fn of_two_claimers_that_start_at_once_the_newer_one_runs_in_the_end() -> Result<()> {
    let database = Arc::new(Database::fresh().await?);
    for round in 0..10 {
        let job = database.queued().await?;
        let barrier = Arc::new(Barrier::new(2));
        let claim = |epoch: i64| {
            let (database, barrier) = (database.clone(), barrier.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                database.start(job, epoch).await
            })
        };
        let (older, newer) = (claim(10), claim(11));
        let (older, newer) = (older.await??, newer.await??);
        let row = database.row(job).await?;
        assert_eq!((row.status, row.epoch), (JobStatus::Running, Epoch(11)), "{round}");
        let Started::Started { taken_over, .. } = newer else { panic!("{newer:?}") };
        let released = TakenOver { epoch: Epoch(10), outcome: AttemptOutcome::Released };
        assert_eq!(row.attempt, 1);
        match older {
            Started::Started { .. } => assert_eq!(taken_over, Some(released)),
            Started::Stale { newest: Epoch(11) } => assert_eq!(taken_over, None),
            other => panic!("{other:?}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_scorer_that_asks_for_two_claims_of_one_job_spends_one_attempt() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.queued().await?;
    let answers = database.store.start(&[start(job, 5), start(job, 6)]).await?;
    assert_eq!(answers[0], Started::Stale { newest: Epoch(6) });
    assert!(matches!(answers[1], Started::Started { taken_over: None, .. }));
    Ok(())
}

#[tokio::test]
async fn scorers_that_start_and_finish_the_same_jobs_in_other_orders_do_not_deadlock() -> Result<()> {
    let database = Arc::new(Database::fresh().await?);
    let mut jobs = Vec::new();
    for _ in 0..30 {
        jobs.push(database.queued().await?);
    }
    let barrier = Arc::new(Barrier::new(4));
    let scorer = |turn: usize| {
        let (database, barrier, mut jobs) = (database.clone(), barrier.clone(), jobs.clone());
        if turn.is_multiple_of(2) {
            jobs.reverse();
        }
        tokio::spawn(async move {
            barrier.wait().await;
            for round in 0..20 {
                let epoch = i64::try_from(round * 4 + turn + 1)?;
                let starts: Vec<_> = jobs.iter().map(|job| start(*job, epoch)).collect();
                database.store.start(&starts).await?;
                let release = || Ending::Released { message: "bye".to_owned(), delay: Duration::ZERO };
                let ends: Vec<_> = jobs.iter().map(|job| finish(*job, epoch, release())).collect();
                database.store.finish(&ends).await?;
            }
            anyhow::Ok(())
        })
    };
    for scorer in (0..4).map(scorer).collect::<Vec<_>>() {
        scorer.await??;
    }
    Ok(())
}

#[tokio::test]
async fn a_score_is_recorded_with_words_and_results() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.done().await?;
    let detail = database.store.job(job).await?.context("the job")?;
    let row = detail.job;
    assert_eq!(
        (row.status, row.score, row.feedback.as_deref()),
        (JobStatus::Done, Some(87.5), Some("Well done."))
    );
    assert_eq!(detail.result, Some(serde_json::json!({"tests": []})));
    assert_eq!((row.error_code, row.version), (None, 3));
    assert!(row.completed_at >= row.started_at && row.started_at.is_some());
    let attempts = database.store.attempts(job).await?;
    assert_eq!(attempts.len(), 1);
    assert_eq!((attempts[0].outcome, attempts[0].scorer.as_str()), (AttemptOutcome::Done, "scorer-1"));
    Ok(())
}

#[tokio::test]
async fn a_retryable_failure_waits_and_says_why() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.running(1).await?;
    let answers = database.store.finish(&[finish(job, 1, retryable())]).await?;
    assert_eq!(answers, [Ok(Finished::Recorded { status: JobStatus::Queued, retry_after: Some(MINUTE) })]);
    let row = database.row(job).await?;
    assert_eq!((row.error_code, row.error_message.as_deref()), (Some(ErrorCode::TIMEOUT), Some("took 61 s")));
    assert_eq!((row.feedback, row.started_at), (None, None));
    assert!(row.delay > MINUTE / 2 && row.delay <= MINUTE, "{:?}", row.delay);
    Ok(())
}

#[tokio::test]
async fn the_last_retryable_failure_becomes_the_jobs_error() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.queued_with(Knobs { retries: 0, ..Knobs::default() }).await?;
    database.start(job, 1).await?;
    let answers = database.store.finish(&[finish(job, 1, retryable())]).await?;
    assert_eq!(answers, [Ok(Finished::Recorded { status: JobStatus::Error, retry_after: None })]);
    let row = database.row(job).await?;
    assert_eq!((row.error_code, row.feedback.as_deref()), (Some(ErrorCode::TIMEOUT), Some("took 61 s")));
    Ok(())
}

#[tokio::test]
async fn a_job_that_kills_its_last_scorer_says_what_happened() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.queued_with(Knobs { retries: 0, ..Knobs::default() }).await?;
    database.start(job, 1).await?;
    let answers = database.store.start(&[start_after(1, job, 2)]).await?;
    assert_eq!(answers, [Started::Exhausted { lost: Epoch(1) }]);
    let row = database.row(job).await?;
    assert_eq!((row.error_code, row.scorer.as_deref()), (Some(ErrorCode::LEASE_LOST), Some("scorer-1")));
    let feedback = row.feedback.context("feedback")?;
    assert!(feedback.contains("scorer-1") && feedback.contains("attempt 1 of 1"), "{feedback}");
    assert_eq!(database.start(job, 2).await?, Started::Ended);
    Ok(())
}

#[tokio::test]
async fn a_job_that_crashes_for_the_third_time_is_not_tried_again_and_says_so() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.queued_with(Knobs { retries: 9, ..Knobs::default() }).await?;
    let crashed =
        || Ending::Crashed { message: "the process that scored it died".to_owned(), delay: Duration::ZERO };
    database.start(job, 1).await?;
    database.store.finish(&[finish(job, 1, crashed())]).await?;
    assert_eq!(database.row(job).await?.error_code, Some(ErrorCode::CRASHED));
    database.start(job, 2).await?;
    database.store.finish(&[finish(job, 2, crashed())]).await?;
    // A whole scorer is lost in the next, which is not the job's doing.
    database.start(job, 3).await?;
    database.store.start(&[start_after(3, job, 4)]).await?;
    let answers = database.store.finish(&[finish(job, 4, crashed())]).await?;
    assert_eq!(answers, [Ok(Finished::Recorded { status: JobStatus::Error, retry_after: None })]);
    let row = database.row(job).await?;
    assert_eq!((row.status, row.attempt, row.error_code), (JobStatus::Error, 4, Some(ErrorCode::CRASHED)));
    let feedback = row.feedback.context("feedback")?;
    for told in ["3 attempts", "attempt 4 of 10", "the process that scored it died"] {
        assert!(feedback.contains(told), "{feedback}");
    }
    let attempts = database.store.attempts(job).await?;
    let outcomes: Vec<_> = attempts.iter().map(|attempt| attempt.outcome).collect();
    use AttemptOutcome::{LeaseLost, Retryable};
    assert_eq!(outcomes, [Retryable, Retryable, LeaseLost, Retryable]);
    Ok(())
}

#[tokio::test]
async fn an_attempt_whose_lease_the_queue_lost_is_given_back() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.queued_with(Knobs { retries: 0, ..Knobs::default() }).await?;
    database.start(job, 1).await?;
    let Started::Started { work, taken_over } = database.start(job, 2).await? else { panic!("not started") };
    let released = TakenOver { epoch: Epoch(1), outcome: AttemptOutcome::Released };
    assert_eq!((work.attempt, taken_over), (1, Some(released)));
    let row = database.row(job).await?;
    assert_eq!((row.status, row.attempt, row.scorer.as_deref()), (JobStatus::Running, 1, Some("scorer-2")));
    assert_eq!((row.error_code, row.error_message), (None, None));
    let attempts = database.store.attempts(job).await?;
    let message = attempts[0].message.as_deref().context("why")?;
    assert!(message.contains("scorer-1 no longer had a lease"), "{message}");
    // Its scorer may be in good health. What it brings now is refused.
    assert_eq!(database.store.finish(&[finish(job, 1, done())]).await?, [Ok(Finished::Refused)]);
    database.store.finish(&[finish(job, 2, done())]).await?;
    assert_eq!(database.row(job).await?.status, JobStatus::Done);
    Ok(())
}

#[tokio::test]
async fn contents_too_long_for_one_answer_arrive_all_the_same() -> Result<()> {
    let database = Database::fresh().await?;
    let mut starts = Vec::new();
    for letter in 'a'..='n' {
        let submission = Uuid::now_v7();
        let content = format!(r#"{{"code": "{}"}}"#, letter.to_string().repeat(1024 * 1024));
        database.store.create_submission(submission, "default", None, &content, true).await?;
        starts.push(start(database.accepted(&new_job(submission)).await?, 1));
    }
    for round in 0..2 {
        let answers = database.store.start(&starts).await?;
        for (letter, answer) in ('a'..='n').zip(answers) {
            let (Started::Started { work, .. } | Started::AlreadyStarted { work }) = answer else {
                panic!("{round}: not started")
            };
            assert_eq!(
                work.content.matches(letter).count(),
                1024 * 1024 + usize::from("code".contains(letter))
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_verdict_whose_answer_was_lost_is_found_again() -> Result<()> {
    let database = Database::fresh().await?;
    for ending in [
        done(),
        retryable(),
        Ending::Crashed { message: "it died".to_owned(), delay: MINUTE },
        Ending::Permanent { code: ErrorCode::INVALID_CONTENT, message: "no code".to_owned() },
        Ending::Released { message: "shutdown".to_owned(), delay: Duration::ZERO },
    ] {
        let job = database.running(1).await?;
        let request = [finish(job, 1, ending.clone())];
        let first = database.store.finish(&request).await?.pop().context("an answer")??;
        let version = database.row(job).await?.version;
        let second = database.store.finish(&request).await?.pop().context("an answer")??;
        let (Finished::Recorded { status: a, .. }, Finished::Recorded { status: b, .. }) = (first, second)
        else {
            panic!("refused: {ending:?}")
        };
        assert_eq!(a, b);
        assert_eq!(database.row(job).await?.version, version, "nothing changed the second time");
        assert_eq!(database.store.attempts(job).await?.len(), 1);
    }
    Ok(())
}

#[tokio::test]
async fn a_verdict_that_contradicts_the_recorded_one_is_refused() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.done().await?;
    let answers = database.store.finish(&[finish(job, 1, retryable())]).await?;
    assert_eq!(answers, [Ok(Finished::Refused)]);
    Ok(())
}

#[tokio::test]
async fn a_recorded_retry_is_found_again_when_the_next_attempt_already_runs() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.running(1).await?;
    let request = [finish(job, 1, retryable())];
    database.store.finish(&request).await?;
    database.start(job, 2).await?;
    let found = Finished::Recorded { status: JobStatus::Queued, retry_after: Some(Duration::ZERO) };
    assert_eq!(database.store.finish(&request).await?, [Ok(found)]);
    assert_eq!(database.row(job).await?.epoch, Epoch(2));
    Ok(())
}

#[tokio::test]
async fn one_poisonous_verdict_does_not_spoil_the_others() -> Result<()> {
    let database = Database::fresh().await?;
    let mut requests = Vec::new();
    for _ in 0..5 {
        requests.push(finish(database.running(1).await?, 1, done()));
    }
    let words =
        |result: &str, score| Ending::Done { score, feedback: "f".to_owned(), result: result.to_owned() };
    requests[1].ending = words("no json", 1.0);
    requests[3].ending = words("{}", f64::NAN);
    let answers = database.store.finish(&requests).await?;
    let spoilt: Vec<bool> = answers.iter().map(Result::is_err).collect();
    assert_eq!(spoilt, [false, true, false, true, false]);
    for (request, spoilt) in requests.iter().zip(spoilt) {
        let expected = if spoilt { JobStatus::Running } else { JobStatus::Done };
        assert_eq!(database.row(request.job).await?.status, expected);
    }
    Ok(())
}

#[tokio::test]
async fn nul_characters_are_left_out_of_words_and_results() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.running(1).await?;
    let ending =
        Ending::Done { score: 1.0, feedback: "a\0b".to_owned(), result: r#"{"out": "x\u0000y"}"#.to_owned() };
    database.store.finish(&[finish(job, 1, ending)]).await?.pop().context("an answer")??;
    let detail = database.store.job(job).await?.context("the job")?;
    assert_eq!(detail.job.feedback.as_deref(), Some("ab"));
    assert_eq!(detail.result, Some(serde_json::json!({"out": "xy"})));
    Ok(())
}

#[tokio::test]
async fn a_scorer_learns_what_it_no_longer_holds() -> Result<()> {
    let database = Database::fresh().await?;
    let (mine, taken_over, ended) =
        (database.running(5).await?, database.running(5).await?, database.done().await?);
    database.start(taken_over, 6).await?;
    let (cancelled, cancelled_later, queued) =
        (database.running(5).await?, database.running(5).await?, database.queued().await?);
    // Its attempt had ended when the job was cancelled.
    database.store.finish(&[finish(cancelled_later, 5, retryable())]).await?;
    let cancel = |job| CancelRequest { job, by: "ann".to_owned(), reason: "why".to_owned() };
    database.store.cancel(&[cancelled, cancelled_later].map(cancel)).await?;
    let claims = [mine, cancelled, cancelled_later, taken_over, ended, queued, Uuid::now_v7()]
        .map(|job| Claim { job, epoch: Epoch(5) });
    let mut expected = vec![Tenure::Over; claims.len()];
    (expected[0], expected[1]) = (Tenure::Held, Tenure::Cancelled);
    assert_eq!(database.store.held(&claims).await?, expected);
    Ok(())
}

#[tokio::test]
async fn a_job_that_ends_before_it_has_a_resource_gets_none() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.done().await?;
    assert_eq!(database.row(job).await?.mirror, Mirror::Gone { uid: None });
    Ok(())
}

#[tokio::test]
async fn starting_an_attempt_touches_no_index() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.queued().await?;
    database.start(job, 1).await?;
    database.store.finish(&[finish(job, 1, retryable())]).await?;
    database.start(job, 2).await?;
    // A connection reports its statistics when it ends.
    database.store.close().await;
    let mut hot = (0, 0);
    for _ in 0..100 {
        let query = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'scoring_jobs'";
        hot = sqlx::query_as::<_, (i64, i64)>(query).fetch_one(&database.sql).await?;
        if hot.0 == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(hot, (3, 3), "updates, and those that left the indexes alone");
    Ok(())
}

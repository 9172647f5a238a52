//! What a redrive does, and what it leaves alone.

use anyhow::{Context, Result};
use domain::{ErrorCode, JobStatus, Knobs};
use store::{
    Accepted, CancelRequest, Ending, Redrive, RedriveOrder, Redriven, Retried, RetryRequest, Scope, Skip,
};
use uuid::Uuid;

use crate::database::{Database, done, finish, new_job};

fn redrive(job: Uuid) -> Redrive {
    Redrive { job, new_id: Uuid::now_v7() }
}

fn ann() -> RedriveOrder {
    RedriveOrder::by("ann")
}

fn made(redrive: Redrive) -> Redriven {
    Redriven::Made { id: redrive.new_id, not_before: None }
}

async fn redriven(database: &Database, job: Uuid, order: &RedriveOrder) -> Result<Redriven> {
    database.store.redrive(&[redrive(job)], order).await?.pop().context("an answer")
}

async fn cancel(database: &Database, job: Uuid) -> Result<()> {
    let request = CancelRequest { job, by: "ann".to_owned(), reason: "a mistake".to_owned() };
    database.store.cancel(&[request]).await?;
    Ok(())
}

/// Jobs, redrives, entries in the audit log, jobs to be queued.
async fn counted(database: &Database) -> Result<[i64; 4]> {
    Ok([
        database.number("SELECT count(*) FROM scoring_jobs").await?,
        database.number("SELECT count(*) FROM redrives").await?,
        database.number("SELECT count(*) FROM audit_log").await?,
        database.number("SELECT count(*) FROM scoring_unqueued").await?,
    ])
}

#[tokio::test]
async fn a_redrive_is_a_new_job_with_the_same_choices_and_says_who_wanted_it() -> Result<()> {
    let database = Database::fresh().await?;
    let knobs =
        Knobs { priority: 8.try_into()?, retries: 0, timeout_seconds: 7, ttl_seconds: 9, ..Knobs::default() };
    let job = database.queued_with(knobs).await?;
    database.start(job, 1).await?;
    let ending = Ending::Permanent { code: ErrorCode::INVALID_CONTENT, message: "empty".to_owned() };
    database.store.finish(&[finish(job, 1, ending)]).await?;
    let before = database.row(job).await?;

    let again = redrive(job);
    let order = RedriveOrder { traceparent: Some("00-1-2-01".to_owned()), ..ann() };
    assert_eq!(database.store.redrive(&[again], &order).await?, [made(again)]);
    let new = database.row(again.new_id).await?;
    assert_eq!((new.submission_id, new.status, new.attempt), (before.submission_id, JobStatus::Queued, 0));
    assert_eq!((new.priority, new.max_attempts), (before.priority, before.max_attempts));
    assert_eq!((new.timeout_seconds, new.ttl_seconds), (7, 9));
    assert_eq!((new.traceparent.as_deref(), new.queued_at), (Some("00-1-2-01"), None));
    assert_eq!(database.store.unqueued(10, std::time::Duration::ZERO).await?.len(), 1);
    assert_eq!(database.row(job).await?.status, JobStatus::Error);
    let logged: (String, String, Uuid, String, String) = sqlx::query_as(
        "SELECT actor, action, job_id, detail ->> 'new_job', detail ->> 'code' FROM audit_log WHERE action = 'redrive'",
    )
    .fetch_one(&database.sql)
    .await?;
    let expected = ("ann", "redrive", job, again.new_id.to_string(), "invalid_content");
    let (by, action, of, new_job, code) = &logged;
    assert_eq!((by.as_str(), action.as_str(), *of, new_job.clone(), code.as_str()), expected);
    Ok(())
}

#[tokio::test]
async fn redriving_again_makes_nothing_and_names_the_job_that_was_made() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.dead(ErrorCode::TIMEOUT).await?;
    let first = redrive(job);
    // The second time, the answer to the first was lost.
    for _ in 0..2 {
        assert_eq!(database.store.redrive(&[first], &ann()).await?, [made(first)]);
    }
    let counts = counted(&database).await?;
    let status = Some(JobStatus::Queued);
    let skipped = Redriven::Skipped(Skip::Redriven { job: first.new_id, status });
    assert_eq!(redriven(&database, job, &ann()).await?, skipped);
    assert_eq!(counted(&database).await?, counts);
    Ok(())
}

#[tokio::test]
async fn a_successor_that_died_is_a_dead_letter_of_its_own() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.dead(ErrorCode::TIMEOUT).await?;
    let first = redrive(job);
    database.store.redrive(&[first], &ann()).await?;
    database.start(first.new_id, 5).await?;
    let ending = Ending::Permanent { code: ErrorCode::INTERNAL, message: "again".to_owned() };
    database.store.finish(&[finish(first.new_id, 5, ending)]).await?;
    let status = Some(JobStatus::Error);
    let skipped = Redriven::Skipped(Skip::Redriven { job: first.new_id, status });
    assert_eq!(redriven(&database, job, &ann()).await?, skipped);
    assert!(matches!(redriven(&database, first.new_id, &ann()).await?, Redriven::Made { .. }));
    Ok(())
}

#[tokio::test]
async fn what_a_person_cancelled_is_redriven_only_when_that_is_meant() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.queued().await?;
    cancel(&database, job).await?;
    assert_eq!(redriven(&database, job, &ann()).await?, Redriven::Skipped(Skip::Cancelled));
    let order = RedriveOrder { cancelled_too: true, ..ann() };
    assert!(matches!(redriven(&database, job, &order).await?, Redriven::Made { .. }));
    Ok(())
}

#[tokio::test]
async fn a_submission_that_was_scored_since_or_is_being_scored_is_left_alone() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.dead(ErrorCode::TIMEOUT).await?;
    let submission = database.row(job).await?.submission_id;
    let other = database.accepted(&new_job(submission)).await?;
    let active = Skip::Active { job: other, status: JobStatus::Queued };
    assert_eq!(redriven(&database, job, &ann()).await?, Redriven::Skipped(active));
    database.start(other, 5).await?;
    database.store.finish(&[finish(other, 5, done())]).await?;
    let scored = Skip::Scored { job: other };
    assert_eq!(redriven(&database, job, &ann()).await?, Redriven::Skipped(scored));
    Ok(())
}

#[tokio::test]
async fn a_score_under_another_rubric_or_from_before_does_not_stand_for_the_one_that_is_missing() -> Result<()>
{
    let database = Database::fresh().await?;
    database.store.ensure_rubrics(&[crate::database::rubric("strict", "1")]).await?;
    let before = database.done().await?;
    let submission = database.row(before).await?.submission_id;
    let job = database.accepted(&new_job(submission)).await?;
    cancel(&database, job).await?;
    let knobs = Knobs { rubric: "strict".to_owned(), ..Knobs::default() };
    let strict = database.accepted(&store::NewJob { knobs, ..new_job(submission) }).await?;
    database.start(strict, 5).await?;
    database.store.finish(&[finish(strict, 5, done())]).await?;
    let order = RedriveOrder { cancelled_too: true, ..ann() };
    assert!(matches!(redriven(&database, job, &order).await?, Redriven::Made { .. }));
    Ok(())
}

#[tokio::test]
async fn of_two_dead_letters_of_one_submission_one_is_redriven() -> Result<()> {
    let database = Database::fresh().await?;
    let older = database.dead(ErrorCode::TIMEOUT).await?;
    let newer = database.accepted(&new_job(database.row(older).await?.submission_id)).await?;
    cancel(&database, newer).await?;
    let order = RedriveOrder { cancelled_too: true, ..ann() };
    let (first, second) = (redrive(newer), redrive(older));
    let active = Redriven::Skipped(Skip::Active { job: first.new_id, status: JobStatus::Queued });
    assert_eq!(database.store.redrive(&[first, second], &order).await?, [made(first), active]);
    Ok(())
}

#[tokio::test]
async fn only_a_job_that_ended_without_a_score_can_be_redriven() -> Result<()> {
    let database = Database::fresh().await?;
    let (waiting, scored) = (database.queued().await?, database.done().await?);
    let of = |status| Redriven::NotFailed { status };
    assert_eq!(redriven(&database, waiting, &ann()).await?, of(JobStatus::Queued));
    assert_eq!(redriven(&database, scored, &ann()).await?, of(JobStatus::Done));
    assert_eq!(redriven(&database, Uuid::now_v7(), &ann()).await?, Redriven::NotFound);
    let dead = database.dead(ErrorCode::TIMEOUT).await?;
    let other = database.confined(Scope::Tenant("acme".to_owned())).await?;
    assert_eq!(other.redrive(&[redrive(dead)], &ann()).await?, [Redriven::NotFound]);
    Ok(())
}

#[tokio::test]
async fn a_dry_run_answers_the_same_and_changes_nothing() -> Result<()> {
    let database = Database::fresh().await?;
    let jobs = database.many_dead(20).await?;
    cancel(&database, database.queued().await?).await?;
    let counts = counted(&database).await?;
    let redrives: Vec<Redrive> = jobs.into_iter().map(redrive).collect();
    let dry = RedriveOrder { dry_run: true, per_second: Some(5.0), ..ann() };
    let would = database.store.redrive(&redrives, &dry).await?;
    assert_eq!(would.iter().filter(|answer| matches!(answer, Redriven::Made { .. })).count(), 20);
    assert_eq!(counted(&database).await?, counts);
    database.store.redrive(&redrives, &ann()).await?;
    assert_eq!(counted(&database).await?, [counts[0] + 20, 20, counts[2] + 20, counts[3] + 20]);
    Ok(())
}

#[tokio::test]
async fn a_rate_spreads_the_new_jobs_and_the_next_call_goes_on_behind_them() -> Result<()> {
    let database = Database::fresh().await?;
    let jobs = database.many_dead(5).await?;
    let order = RedriveOrder { per_second: Some(2.0), ..ann() };
    let mut due = Vec::new();
    for page in jobs.chunks(3) {
        let redrives: Vec<Redrive> = page.iter().copied().map(redrive).collect();
        for answer in database.store.redrive(&redrives, &order).await? {
            let Redriven::Made { id, not_before: Some(not_before) } = answer else { panic!("{answer:?}") };
            assert_eq!(database.row(id).await?.not_before, Some(not_before));
            due.push(not_before);
        }
    }
    let gaps: Vec<i128> = due.windows(2).map(|two| two[1].duration_since(two[0]).as_millis()).collect();
    assert_eq!(gaps, [500, 500, 500, 500]);

    // Those that nobody waits for any longer hold up no others.
    database.run("UPDATE scoring_jobs SET status = 'ERROR', error_code = 'cancelled', feedback = 'c', version = version + 1,
      completed_at = now() WHERE completed_at IS NULL").await?;
    let next = database.dead(ErrorCode::TIMEOUT).await?;
    let Redriven::Made { not_before, .. } = redriven(&database, next, &order).await? else {
        panic!("not made")
    };
    assert!(not_before < Some(due[1]), "{not_before:?} {due:?}");
    Ok(())
}

#[tokio::test]
async fn a_slow_redrive_of_one_tenant_puts_off_no_others() -> Result<()> {
    let database = Database::fresh().await?;
    let jobs = database.many_dead(4).await?;
    database.run("UPDATE scoring_jobs SET tenant = 'acme' WHERE id = (SELECT min(id::text)::uuid FROM scoring_jobs)").await?;
    let (mut theirs, mut ours) = (Vec::new(), None);
    for job in jobs {
        if database.row(job).await?.tenant == "acme" { ours = Some(job) } else { theirs.push(redrive(job)) }
    }
    let slow = RedriveOrder { per_second: Some(0.001), ..ann() };
    database.store.redrive(&theirs, &slow).await?;
    let Redriven::Made { not_before, .. } =
        redriven(&database, ours.context("a job of acme's")?, &slow).await?
    else {
        panic!("not made")
    };
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(500);
    assert!(not_before < Some(soon), "{not_before:?}");
    Ok(())
}

#[tokio::test]
async fn a_retry_counts_as_the_redrive_of_a_dead_letter_and_may_be_asked_for_again() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.dead(ErrorCode::TIMEOUT).await?;
    let mut made = Vec::new();
    for _ in 0..2 {
        let new_id = Uuid::now_v7();
        let request = RetryRequest { job, new_id, by: "ann".to_owned(), traceparent: None };
        let created = Retried::Answered(Accepted::Created { id: new_id });
        assert_eq!(database.store.retry(&request).await?, created);
        cancel(&database, new_id).await?;
        made.push(new_id);
    }
    let shown = database.store.dead_letter(job).await?.context("a dead letter")?;
    assert_eq!(shown.letter.successor.map(|successor| successor.job), Some(made[0]));
    assert_eq!(shown.redrives.iter().map(|redrive| redrive.new_job).collect::<Vec<_>>(), made);
    Ok(())
}

#[tokio::test]
async fn what_an_earlier_version_redrove_is_not_redriven_again() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.dead(ErrorCode::TIMEOUT).await?;
    let again = redrive(job);
    database.store.redrive(&[again], &ann()).await?;
    // As it was before the migration.
    database.run("DROP TABLE redrives").await?;
    database.run("DELETE FROM _sqlx_migrations WHERE version = 9").await?;
    store::migrate(&database.url).await?;
    let status = Some(JobStatus::Queued);
    let skipped = Redriven::Skipped(Skip::Redriven { job: again.new_id, status });
    assert_eq!(redriven(&database, job, &ann()).await?, skipped);
    Ok(())
}

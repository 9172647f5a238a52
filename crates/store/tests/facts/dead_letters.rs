//! Listing and inspecting dead letters.

use anyhow::{Context, Result};
use domain::{AttemptOutcome, Cause, ErrorCode, JobStatus, Knobs};
use jiff::ToSpan;
use store::{CancelRequest, DeadLetterFilter, Ending, NewJob, Redrive, RedriveOrder, Redriven};
use uuid::Uuid;

use crate::database::{Database, finish, new_job, start_after};

async fn cancel(database: &Database, job: Uuid) -> Result<()> {
    let request = CancelRequest { job, by: "ann".to_owned(), reason: "a mistake".to_owned() };
    database.store.cancel(&[request]).await?;
    Ok(())
}

/// The ids of all pages, two letters each.
async fn listed(database: &Database, filter: &DeadLetterFilter) -> Result<Vec<Uuid>> {
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = database.store.dead_letters(filter, after, 2).await?;
        ids.extend(page.letters.iter().map(|letter| letter.job.id));
        match page.next {
            Some(next) => after = Some(next.to_string().parse()?),
            None => return Ok(ids),
        }
    }
}

#[tokio::test]
async fn a_dead_letter_says_whether_trying_again_may_help() -> Result<()> {
    let database = Database::fresh().await?;
    let once = Knobs { retries: 0, ..Knobs::default() };
    let permanent = database.dead(ErrorCode::INVALID_CONTENT).await?;
    let exhausted = database.queued_with(once.clone()).await?;
    database.start(exhausted, 1).await?;
    let (code, message) = (ErrorCode::TIMEOUT, "too slow".to_owned());
    let delay = std::time::Duration::ZERO;
    database.store.finish(&[finish(exhausted, 1, Ending::Retryable { code, message, delay })]).await?;
    let lost = database.queued_with(once).await?;
    database.start(lost, 1).await?;
    database.store.start(&[start_after(1, lost, 2)]).await?;
    let (waiting, running) = (database.queued().await?, database.running(1).await?);
    cancel(&database, waiting).await?;
    cancel(&database, running).await?;
    for (job, cause) in [
        (permanent, Cause::Permanent),
        (exhausted, Cause::RetriesExhausted),
        (lost, Cause::LeaseLost),
        (waiting, Cause::Cancelled),
        (running, Cause::Cancelled),
    ] {
        let shown = database.store.dead_letter(job).await?.context("a dead letter")?;
        assert_eq!(shown.letter.cause, Some(cause));
    }
    Ok(())
}

#[tokio::test]
async fn a_dead_letter_shows_each_attempt_each_redrive_and_where_it_came_from() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.queued_with(Knobs { retries: 1, ..Knobs::default() }).await?;
    database.start(job, 1).await?;
    database.store.start(&[start_after(1, job, 2)]).await?;
    let ending = Ending::Permanent { code: ErrorCode::INVALID_RUBRIC, message: "no such rule".to_owned() };
    database.store.finish(&[finish(job, 2, ending)]).await?;
    let redrive = Redrive { job, new_id: Uuid::now_v7() };
    database.store.redrive(&[redrive], &RedriveOrder::by("ann")).await?;

    let shown = database.store.dead_letter(job).await?.context("a dead letter")?;
    let attempts: Vec<_> = shown.attempts.iter().map(|a| (a.attempt, a.epoch.0, a.outcome)).collect();
    assert_eq!(attempts, [(1, 1, AttemptOutcome::LeaseLost), (2, 2, AttemptOutcome::Permanent)]);
    assert_eq!(shown.attempts[1].scorer, "scorer-2");
    assert_eq!(shown.attempts[1].message.as_deref(), Some("no such rule"));
    let redrives: Vec<_> = shown.redrives.iter().map(|r| (r.by.as_str(), r.new_job, r.status)).collect();
    assert_eq!(redrives, [("ann", redrive.new_id, Some(JobStatus::Queued))]);
    assert_eq!(shown.letter.successor.map(|successor| successor.job), Some(redrive.new_id));
    assert_eq!(database.store.dead_letter(redrive.new_id).await?, None, "it has not ended");

    cancel(&database, redrive.new_id).await?;
    let successor = database.store.dead_letter(redrive.new_id).await?.context("a dead letter")?;
    assert_eq!((successor.redrive_of, successor.redrives), (Some(job), Vec::new()));
    Ok(())
}

#[tokio::test]
async fn pages_list_every_dead_letter_once_the_last_to_end_first() -> Result<()> {
    let database = Database::fresh().await?;
    database.done().await?;
    database.queued().await?;
    let mut dead = database.many_dead(5).await?;
    // Cancelled in one call, so of one instant.
    let (a, b, c) = (database.queued().await?, database.queued().await?, database.queued().await?);
    let request = |job| CancelRequest { job, by: "ann".to_owned(), reason: "a mistake".to_owned() };
    database.store.cancel(&[request(a), request(b), request(c)]).await?;
    dead.splice(0..0, [c, b, a]);
    assert_eq!(listed(&database, &DeadLetterFilter::default()).await?, dead);
    Ok(())
}

#[tokio::test]
async fn dead_letters_are_narrowed_by_code_pool_rubric_tenant_time_and_redrive() -> Result<()> {
    let database = Database::fresh().await?;
    let dead = database.many_dead(3).await?;
    let content = database.dead(ErrorCode::INVALID_CONTENT).await?;
    let gpu = database.queued_with(Knobs { pool: "gpu".parse()?, ..Knobs::default() }).await?;
    cancel(&database, gpu).await?;
    let submission = Uuid::now_v7();
    database.store.create_submission(submission, "acme", None, "{}", true).await?;
    database.store.ensure_rubrics(&[crate::database::rubric("strict", "1")]).await?;
    let knobs = Knobs { rubric: "strict".to_owned(), ..Knobs::default() };
    let strict = database.accepted(&NewJob { knobs, ..new_job(submission) }).await?;
    cancel(&database, strict).await?;
    let redriven = database
        .store
        .redrive(&[Redrive { job: dead[1], new_id: Uuid::now_v7() }], &RedriveOrder::by("ann"))
        .await?;
    assert!(matches!(redriven[..], [Redriven::Made { .. }]), "{redriven:?}");

    let any = DeadLetterFilter::default;
    let text = |text: &str| Some(text.to_owned());
    let ended = database.row(dead[1]).await?.completed_at.context("an end")?;
    for (filter, expected) in [
        (DeadLetterFilter { code: text("timeout"), ..any() }, dead.clone()),
        (DeadLetterFilter { code: text("invalid_content"), ..any() }, vec![content]),
        (DeadLetterFilter { pool: text("gpu"), ..any() }, vec![gpu]),
        (DeadLetterFilter { rubric: text("strict"), ..any() }, vec![strict]),
        (DeadLetterFilter { tenant: text("acme"), code: text("cancelled"), ..any() }, vec![strict]),
        (DeadLetterFilter { tenant: text("acme"), code: text("timeout"), ..any() }, vec![]),
        (DeadLetterFilter { until: Some(ended), ..any() }, vec![dead[2]]),
        (
            DeadLetterFilter { from: Some(ended), until: Some(ended + 1.microsecond()), ..any() },
            vec![dead[1]],
        ),
        (DeadLetterFilter { redriven: Some(true), ..any() }, vec![dead[1]]),
        (DeadLetterFilter { redriven: Some(false), code: text("timeout"), ..any() }, vec![dead[0], dead[2]]),
        (DeadLetterFilter { batch: Some(Uuid::now_v7()), ..any() }, vec![]),
    ] {
        assert_eq!(listed(&database, &filter).await?, expected, "{filter:?}");
    }
    Ok(())
}

//! Listing jobs.

use anyhow::{Context, Result};
use domain::JobStatus;
use store::{JobFilter, NewJob};
use uuid::Uuid;

use crate::database::{Database, new_job};

/// The ids of all pages, two jobs each.
async fn listed(database: &Database, filter: &JobFilter) -> Result<Vec<Uuid>> {
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = database.store.jobs(filter, after, 2).await?;
        ids.extend(page.jobs.iter().map(|job| job.id));
        match page.next {
            Some(next) => after = Some(next.to_string().parse()?),
            None => return Ok(ids),
        }
    }
}

#[tokio::test]
async fn pages_list_every_job_once_newest_first() -> Result<()> {
    let database = Database::fresh().await?;
    let mut jobs = Vec::new();
    for _ in 0..4 {
        jobs.push(database.queued().await?);
    }
    // Accepted in one call, so of one instant.
    let new: Vec<NewJob> = database.submissions(3).await?.into_iter().map(new_job).collect();
    jobs.extend(new.iter().map(|new| new.id));
    database.store.accept(&new).await?;
    jobs.reverse();
    assert_eq!(listed(&database, &JobFilter::default()).await?, jobs);
    Ok(())
}

#[tokio::test]
async fn a_full_last_page_has_no_next_one() -> Result<()> {
    let database = Database::fresh().await?;
    for _ in 0..2 {
        database.queued().await?;
    }
    let page = database.store.jobs(&JobFilter::default(), None, 2).await?;
    assert_eq!((page.jobs.len(), page.next), (2, None));
    Ok(())
}

#[tokio::test]
async fn lists_are_narrowed_by_submission_status_and_tenant() -> Result<()> {
    let database = Database::fresh().await?;
    let ended = database.done().await?;
    let submission_id = database.row(ended).await?.submission_id;
    let again = database.accepted(&new_job(submission_id)).await?;
    let foreign = Uuid::now_v7();
    database.store.create_submission(foreign, "acme", None, "{}", true).await?;
    let foreign = database.accepted(&new_job(foreign)).await?;

    let of_submission = JobFilter { submission_id: Some(submission_id), ..JobFilter::default() };
    assert_eq!(listed(&database, &of_submission).await?, [again, ended]);
    let done = JobFilter { status: Some(JobStatus::Done), ..of_submission.clone() };
    assert_eq!(listed(&database, &done).await?, [ended]);
    let of_tenant = JobFilter { tenant: Some("acme".to_owned()), ..JobFilter::default() };
    assert_eq!(listed(&database, &of_tenant).await?, [foreign]);
    let of_neither = JobFilter { tenant: Some("acme".to_owned()), ..of_submission };
    assert_eq!(listed(&database, &of_neither).await?, [] as [Uuid; 0]);
    let queued = JobFilter { status: Some(JobStatus::Queued), ..JobFilter::default() };
    assert_eq!(listed(&database, &queued).await?, [foreign, again]);
    Ok(())
}

#[tokio::test]
async fn what_is_not_there_reads_as_nothing() -> Result<()> {
    let database = Database::fresh().await?;
    assert_eq!(database.store.job(Uuid::now_v7()).await?, None);
    assert_eq!(database.store.batch(Uuid::now_v7()).await?, None);
    assert_eq!(database.store.attempts(Uuid::now_v7()).await?, []);
    Ok(())
}

#[tokio::test]
async fn a_call_can_be_awaited_on_another_thread() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.queued().await?;
    let store = database.store.clone();
    let read = tokio::spawn(async move { store.job(job).await });
    assert_eq!(read.await??.context("the job")?.job.id, job);
    Ok(())
}

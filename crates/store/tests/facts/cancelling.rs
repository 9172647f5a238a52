//! Cancelling and trying again.

use anyhow::{Context, Result};
use domain::{ErrorCode, JobStatus, Pool};
use store::{
    Accepted, BatchOrigin, CancelRequest, Cancelled, CancelledJob, Finished, NewBatch, NewJob, Retried,
    RetryRequest, Scope,
};
use uuid::Uuid;

use crate::database::{Database, done, finish, new_job, resource};

fn request(job: Uuid) -> CancelRequest {
    CancelRequest { job, by: "ann".to_owned(), reason: "a mistake".to_owned() }
}

#[tokio::test]
async fn a_cancelled_job_says_by_whom_and_why_and_so_does_the_audit_log() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.running(1).await?;
    let pool = Pool::default();
    assert_eq!(database.store.cancel(&[request(job)]).await?, [Cancelled::Cancelled { pool }]);
    let row = database.row(job).await?;
    assert_eq!((row.status, row.error_code), (JobStatus::Error, Some(ErrorCode::CANCELLED)));
    assert_eq!(row.feedback.as_deref(), Some("Cancelled by ann: a mistake"));
    let logged: (String, String, Option<Uuid>) =
        sqlx::query_as("SELECT actor, action, job_id FROM audit_log").fetch_one(&database.sql).await?;
    assert_eq!(logged, ("ann".to_owned(), "cancel".to_owned(), Some(job)));
    assert_eq!(database.store.finish(&[finish(job, 1, done())]).await?, [Ok(Finished::Refused)]);
    Ok(())
}

#[tokio::test]
async fn cancelling_again_is_recognised_and_logged_once() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.queued().await?;
    let answers = database.store.cancel(&[request(job), request(job), request(Uuid::now_v7())]).await?;
    let pool = Pool::default();
    let already = Cancelled::AlreadyCancelled { pool: pool.clone() };
    assert_eq!(answers, [Cancelled::Cancelled { pool }, already, Cancelled::NotFound]);
    assert_eq!(database.number("SELECT count(*) FROM audit_log").await?, 1);
    Ok(())
}

#[tokio::test]
async fn deleting_a_resource_cancels_its_active_job_alone() -> Result<()> {
    let database = Database::fresh().await?;
    let (deleted, kept) = (resource("deleted"), resource("kept"));
    for resource in [&deleted, &kept] {
        let submission = database.submission().await?;
        let new = NewJob { id: resource.uid, resource: Some(resource.clone()), ..new_job(submission) };
        database.accepted(&new).await?;
    }
    let cancelled =
        database.store.cancel_by_resource_uid(&[deleted.uid, Uuid::new_v4()], "k8s", "deleted").await?;
    assert_eq!(cancelled, [CancelledJob { job: deleted.uid, pool: Pool::default() }]);
    assert_eq!(database.row(kept.uid).await?.status, JobStatus::Queued);
    assert_eq!(database.store.cancel_by_resource_uid(&[deleted.uid], "k8s", "deleted").await?, []);
    Ok(())
}

#[tokio::test]
async fn cancelling_a_batch_ends_the_members_that_are_active() -> Result<()> {
    let database = Database::fresh().await?;
    let batch = NewBatch {
        id: Uuid::now_v7(),
        tenant: None,
        owner: None,
        submission_ids: database.submissions(3).await?,
        knobs: domain::Knobs::default(),
        origin: BatchOrigin::Api,
        traceparent: None,
        resource: None,
    };
    database.store.accept_batch(&batch).await?;
    let first: Uuid = sqlx::query_scalar("SELECT id FROM scoring_jobs ORDER BY id LIMIT 1")
        .fetch_one(&database.sql)
        .await?;
    database.start(first, 1).await?;
    database.store.finish(&[finish(first, 1, done())]).await?;
    assert_eq!(database.store.cancel_batch(batch.id, "ann", "enough").await?.len(), 2);
    let counts = database.store.batch(batch.id).await?.context("the batch")?.counts;
    assert_eq!((counts.queued, counts.done, counts.error), (0, 1, 2));
    Ok(())
}

fn retry(job: Uuid) -> RetryRequest {
    RetryRequest { job, new_id: Uuid::now_v7(), by: "ann".to_owned(), traceparent: None }
}

#[tokio::test]
async fn an_ended_job_is_tried_again_as_a_new_one_and_the_dead_letter_says_so() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.queued().await?;
    assert_eq!(database.store.retry(&retry(job)).await?, Retried::StillActive { status: JobStatus::Queued });
    database.store.cancel(&[request(job)]).await?;
    let again = retry(job);
    for _ in 0..2 {
        let created = Retried::Answered(Accepted::Created { id: again.new_id });
        assert_eq!(database.store.retry(&again).await?, created);
    }
    let letter: (Uuid, i64, Uuid) =
        sqlx::query_as("SELECT id, redrives, redriven_as FROM dead_letters").fetch_one(&database.sql).await?;
    assert_eq!(letter, (job, 1, again.new_id));
    let (old, new) = (database.row(job).await?, database.row(again.new_id).await?);
    assert_eq!((old.submission_id, old.max_attempts), (new.submission_id, new.max_attempts));
    Ok(())
}

#[tokio::test]
async fn what_is_another_tenants_cannot_be_tried_again() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.done().await?;
    let other = database.confined(Scope::Tenant("other".to_owned())).await?;
    assert_eq!(other.retry(&retry(job)).await?, Retried::NotFound);
    assert_eq!(database.store.retry(&retry(Uuid::now_v7())).await?, Retried::NotFound);
    Ok(())
}

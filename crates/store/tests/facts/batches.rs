//! Batches of jobs.

use std::collections::HashSet;

use anyhow::{Context, Result};
use domain::{ErrorCode, Knobs, SubmissionId};
use store::{BatchAccepted, BatchOrigin, Ending, Mirror, NewBatch, Rejected, StoreError};
use uuid::Uuid;

use crate::database::{Database, done, finish, new_job, start};

pub(crate) fn new_batch(submission_ids: Vec<SubmissionId>) -> NewBatch {
    NewBatch {
        id: Uuid::now_v7(),
        tenant: None,
        owner: None,
        submission_ids,
        knobs: Knobs::default(),
        origin: BatchOrigin::Api,
        traceparent: None,
        resource: None,
    }
}

pub(crate) async fn members(database: &Database, batch: Uuid) -> Result<Vec<Uuid>> {
    let query = sqlx::query_scalar("SELECT id FROM scoring_jobs WHERE batch_id = $1 ORDER BY id").bind(batch);
    Ok(query.fetch_all(&database.sql).await?)
}

#[tokio::test]
async fn a_batch_accepts_what_it_can_and_says_what_it_cannot() -> Result<()> {
    let database = Database::fresh().await?;
    let (good, busy, unknown) = (database.submission().await?, database.submission().await?, Uuid::now_v7());
    let active = database.accepted(&new_job(busy)).await?;
    let batch = new_batch(vec![good, unknown, busy, good]);
    let accepted = database.store.accept_batch(&batch).await?;
    let member = members(&database, batch.id).await?;
    let rejected =
        |submission_id, code: &str, active_job| Rejected { submission_id, code: code.to_owned(), active_job };
    let expected = BatchAccepted {
        total: 4,
        accepted: 1,
        rejected: vec![
            rejected(unknown, "unknown_submission", None),
            rejected(busy, "active_job", Some(active)),
            rejected(good, "active_job", Some(member[0])),
        ],
    };
    assert_eq!(accepted, expected);
    assert_eq!(database.store.accept_batch(&batch).await?, expected, "the same answer again");
    assert_eq!(members(&database, batch.id).await?.len(), 1);
    assert_eq!(database.row(member[0]).await?.mirror, Mirror::Batch);
    Ok(())
}

#[tokio::test]
async fn a_batch_of_a_thousand_is_one_commit_and_its_members_are_to_be_queued() -> Result<()> {
    let database = Database::fresh().await?;
    database
        .run("INSERT INTO submissions (status, content) SELECT 'SUBMITTED', '{}' FROM generate_series(1, 1000)")
        .await?;
    let ids = sqlx::query_scalar("SELECT id FROM submissions").fetch_all(&database.sql).await?;
    let batch = new_batch(ids);
    let accepted = database.store.accept_batch(&batch).await?;
    assert_eq!((accepted.total, accepted.accepted), (1000, 1000));
    let transactions = "SELECT count(DISTINCT xmin::text) FROM scoring_jobs";
    assert_eq!(database.number(transactions).await?, 1);
    assert_eq!(database.store.unqueued_of_batch(batch.id, 2000).await?.len(), 1000);
    Ok(())
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_refused_as_a_whole() -> Result<()> {
    let database = Database::fresh().await?;
    let batch = new_batch((0..1001).map(|_| Uuid::now_v7()).collect());
    let Err(StoreError::Invalid { constraint, .. }) = database.store.accept_batch(&batch).await else {
        panic!("accepted")
    };
    assert_eq!(constraint.as_deref(), Some("scoring_batches_total_range"));
    Ok(())
}

#[tokio::test]
async fn of_one_batch_posted_twice_at_once_only_one_takes_effect() -> Result<()> {
    let database = Database::fresh().await?;
    let batch = new_batch(database.submissions(20).await?);
    let (a, b) = tokio::join!(database.store.accept_batch(&batch), database.store.accept_batch(&batch));
    let (a, b) = (a?, b?);
    assert_eq!(a, b);
    assert_eq!((a.accepted, members(&database, batch.id).await?.len()), (20, 20));
    Ok(())
}

#[tokio::test]
async fn a_batch_without_members_needs_no_resource() -> Result<()> {
    let database = Database::fresh().await?;
    let batch = new_batch(vec![Uuid::now_v7()]);
    assert_eq!(database.store.accept_batch(&batch).await?.accepted, 0);
    let relay = database.store.begin_relay().await?.context("the turn")?;
    assert_eq!(relay.unmirrored_batches(10).await?, []);
    let detail = database.store.batch(batch.id).await?.context("the batch")?;
    assert!(detail.counts.is_complete());
    assert_eq!(detail.batch.rejected.len(), 1);
    Ok(())
}

#[tokio::test]
async fn the_counts_of_a_batch_follow_its_members() -> Result<()> {
    let database = Database::fresh().await?;
    let batch = new_batch(database.submissions(10).await?);
    database.store.accept_batch(&batch).await?;
    let jobs = members(&database, batch.id).await?;
    let counts = database.store.batch(batch.id).await?.context("the batch")?.counts;
    assert_eq!((counts.queued, counts.mean_score, counts.completed_at), (10, None, None));
    database.store.start(&jobs[..9].iter().map(|job| start(*job, 1)).collect::<Vec<_>>()).await?;
    let scored = |job, score| {
        finish(job, 1, Ending::Done { score, feedback: "f".to_owned(), result: "{}".to_owned() })
    };
    let failed = |job| {
        finish(job, 1, Ending::Permanent { code: ErrorCode::INVALID_CONTENT, message: "no code".to_owned() })
    };
    let mut verdicts = vec![scored(jobs[0], 40.0), scored(jobs[1], 60.0)];
    verdicts.extend(jobs[2..8].iter().copied().map(failed));
    database.store.finish(&verdicts).await?;
    let counts = database.store.batch(batch.id).await?.context("the batch")?.counts;
    assert_eq!((counts.queued, counts.running, counts.done, counts.error), (1, 1, 2, 6));
    assert_eq!(counts.mean_score, Some(50.0));
    assert!(counts.started_at.is_some() && !counts.is_complete());
    let first_failures: HashSet<Uuid> = counts.failures.iter().map(|failure| failure.job).collect();
    assert_eq!(first_failures, jobs[2..7].iter().copied().collect());
    assert_eq!(
        (counts.failures[0].code.as_str(), counts.failures[0].message.as_str()),
        ("invalid_content", "no code")
    );
    Ok(())
}

#[tokio::test]
async fn the_last_member_completes_a_batch() -> Result<()> {
    let database = Database::fresh().await?;
    let batch = new_batch(database.submissions(1).await?);
    database.store.accept_batch(&batch).await?;
    let job = members(&database, batch.id).await?[0];
    database.start(job, 1).await?;
    database.store.finish(&[finish(job, 1, done())]).await?;
    let counts = database.store.batch(batch.id).await?.context("the batch")?.counts;
    assert!(counts.is_complete());
    assert_eq!(counts.completed_at, database.row(job).await?.completed_at);
    Ok(())
}

//! The gateway's relay to Kubernetes.

use std::collections::HashSet;

use anyhow::{Context, Result};
use domain::Knobs;
use jiff::{Timestamp, ToSpan};
use store::{BatchRow, JobRow, Mirror, MirroredJob, NewJob, Relay};
use uuid::Uuid;

use crate::batches::{members, new_batch};
use crate::database::{Database, done, finish, new_job, resource};

async fn turn(database: &Database) -> Result<Relay> {
    database.store.begin_relay().await?.context("the turn")
}

async fn made(relay: &Relay, jobs: &[JobRow]) -> Result<Vec<BatchRow>> {
    Ok(relay.move_to_batch(jobs, 10).await?.into_iter().map(|(batch, _)| batch).collect())
}

fn mirrored(job: Uuid, uid: Option<Uuid>) -> MirroredJob {
    MirroredJob { job, uid }
}

#[tokio::test]
async fn one_gateway_relays_at_a_time() -> Result<()> {
    let database = Database::fresh().await?;
    let relay = turn(&database).await?;
    assert!(database.store.begin_relay().await?.is_none());
    relay.end().await?;
    drop(turn(&database).await?);
    // A turn that is merely dropped ends with its connection, which takes a moment.
    for _ in 0..100 {
        if let Some(relay) = database.store.begin_relay().await? {
            return Ok(relay.end().await?);
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    anyhow::bail!("the turn of a dropped relay did not end")
}

#[tokio::test]
async fn what_waits_for_a_resource_waits_until_it_is_noted() -> Result<()> {
    let database = Database::fresh().await?;
    let (first, second) = (database.queued().await?, database.running(1).await?);
    let relay = turn(&database).await?;
    let waiting: Vec<Uuid> = relay.waiting(10).await?.iter().map(|job| job.id).collect();
    assert_eq!(waiting, [first, second]);
    let uid = Uuid::new_v4();
    for _ in 0..2 {
        relay.mark_mirrored(&[mirrored(first, Some(uid))], "assay").await?;
    }
    let counts = relay.counts(10).await?;
    assert_eq!((counts.live, counts.waiting), (1, 1));
    let mirror = Mirror::Job { namespace: "assay".to_owned(), name: first.to_string(), uid: Some(uid) };
    assert_eq!(database.row(first).await?.mirror, mirror);
    Ok(())
}

#[tokio::test]
async fn a_crash_between_creating_and_noting_leaves_work_that_is_found_again() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.queued().await?;
    let relay = turn(&database).await?;
    assert_eq!(relay.waiting(10).await?.len(), 1);
    drop(relay);
    database.store.close().await;
    let database = Database::prepared(database.url.clone()).await?;
    let relay = turn(&database).await?;
    assert_eq!(relay.waiting(10).await?[0].id, job);
    Ok(())
}

#[tokio::test]
async fn a_job_that_ends_while_its_resource_is_made_is_mirrored_nevertheless() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.running(1).await?;
    let relay = turn(&database).await?;
    relay.waiting(10).await?;
    database.store.finish(&[finish(job, 1, done())]).await?;
    assert_eq!(relay.waiting(10).await?, []);
    let uid = Uuid::new_v4();
    relay.mark_mirrored(&[mirrored(job, Some(uid))], "assay").await?;
    assert!(matches!(database.row(job).await?.mirror, Mirror::Job { uid: Some(bound), .. } if bound == uid));
    assert_eq!(database.store.changed(None, 10).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn jobs_with_the_same_knobs_are_gathered_into_one_batch() -> Result<()> {
    let database = Database::fresh().await?;
    let urgent = Knobs { priority: 9.try_into()?, backoff_seconds: 9, ..Knobs::default() };
    let plain = [database.queued().await?, database.queued().await?];
    let urgent = database.queued_with(urgent).await?;
    let relay = turn(&database).await?;
    let waiting = relay.waiting(10).await?;
    let batches = made(&relay, &waiting).await?;
    assert_eq!(batches.len(), 2);
    let of_priority = |number: u8| batches.iter().find(|batch| batch.knobs.priority.get() == number);
    let (five, nine) = (of_priority(5).context("5")?, of_priority(9).context("9")?);
    assert_eq!(members(&database, five.id).await?, plain);
    assert_eq!(members(&database, nine.id).await?, [urgent]);
    assert_eq!((five.total, nine.total), (2, 1));
    assert_eq!((five.knobs.backoff_seconds, nine.knobs.backoff_seconds), (2, 9));
    assert_eq!(relay.waiting(10).await?, []);
    assert_eq!(made(&relay, &waiting).await?, [], "nothing is moved twice");
    Ok(())
}

#[tokio::test]
async fn jobs_that_are_due_one_after_the_other_share_a_batch() -> Result<()> {
    let database = Database::fresh().await?;
    let hour = Timestamp::from_second(4_102_444_800)?;
    for seconds in [59, 20, 40, 3600] {
        let not_before = Some(hour + seconds.seconds());
        database.queued_with(Knobs { not_before, ..Knobs::default() }).await?;
    }
    let relay = turn(&database).await?;
    let batches = made(&relay, &relay.waiting(10).await?).await?;
    let shown: Vec<_> = batches.iter().map(|batch| (batch.total, batch.knobs.not_before)).collect();
    assert_eq!(shown, [(3, Some(hour + 20.seconds())), (1, Some(hour + 3600.seconds()))]);
    Ok(())
}

#[tokio::test]
async fn a_job_mirrored_singly_meanwhile_stays_out_of_the_batch() -> Result<()> {
    let database = Database::fresh().await?;
    let (single, other) = (database.queued().await?, database.queued().await?);
    let relay = turn(&database).await?;
    let waiting = relay.waiting(10).await?;
    relay.mark_mirrored(&[mirrored(single, None)], "assay").await?;
    let batches = made(&relay, &waiting).await?;
    assert_eq!(batches[0].total, 1);
    assert_eq!(members(&database, batches[0].id).await?, [other]);
    assert!(matches!(database.row(single).await?.mirror, Mirror::Job { .. }));
    relay.mark_mirrored(&[mirrored(other, None)], "assay").await?;
    assert_eq!(database.row(other).await?.mirror, Mirror::Batch, "a member is never mirrored singly");
    Ok(())
}

#[tokio::test]
async fn a_member_that_ended_before_its_overflow_batch_was_made_keeps_no_batch_from_being_complete()
-> Result<()> {
    let database = Database::fresh().await?;
    let store = &database.store;
    let job = database.running(1).await?;
    let relay = turn(&database).await?;
    let batch = made(&relay, &relay.waiting(10).await?).await?.pop().context("a batch")?.id;
    store.finish(&[finish(job, 1, done())]).await?;
    // As when its end was stamped by a statement that then waited for the batch to be made.
    database.run("UPDATE scoring_batches SET created_at = created_at + INTERVAL '1 minute'").await?;
    let batch = store.batch(batch).await?.context("the batch")?.batch;
    store.bind_batch(batch.id, &resource("batch")).await?;
    let changed = store.batches_changed(&[batch.id]).await?.pop().context("to be shown")?;
    assert_eq!(changed.counts.completed_at, Some(batch.created_at));
    store.mark_batch_status_mirrored(&[changed.shown()]).await?;
    assert!(store.unfinished_batches_page(None, 10).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn of_many_kinds_of_jobs_those_that_have_waited_longest_share_a_batch_first() -> Result<()> {
    let database = Database::fresh().await?;
    let mut jobs = Vec::new();
    for backoff_seconds in [3, 1, 2, 3] {
        let knobs = Knobs { backoff_seconds, ..Knobs::default() };
        let new = NewJob { knobs, ..new_job(database.submission().await?) };
        jobs.push(database.accepted(&new).await?);
    }
    let relay = turn(&database).await?;
    for expected in [vec![jobs[0], jobs[3]], vec![jobs[1]], vec![jobs[2]]] {
        let waiting = relay.waiting(10).await?;
        let made = relay.move_to_batch(&waiting, 1).await?;
        assert_eq!(made.len(), 1);
        assert_eq!(made[0].1.iter().map(|job| job.id).collect::<Vec<_>>(), expected);
        assert_eq!(members(&database, made[0].0.id).await?, expected);
    }
    assert_eq!(relay.waiting(10).await?, []);
    Ok(())
}

#[tokio::test]
async fn more_than_a_batch_holds_becomes_several() -> Result<()> {
    let database = Database::fresh().await?;
    database
        .run("INSERT INTO submissions (status, content) SELECT 'SUBMITTED', '{}' FROM generate_series(1, 1200)")
        .await?;
    database
        .run(
            "INSERT INTO scoring_jobs (id, submission_id, tenant, rubric, rubric_version)
             SELECT gen_random_uuid(), id, tenant, 'default', '1' FROM submissions",
        )
        .await?;
    let relay = turn(&database).await?;
    let batches = made(&relay, &relay.waiting(2000).await?).await?;
    assert_eq!(batches.iter().map(|batch| batch.total).collect::<Vec<_>>(), [1000, 200]);
    Ok(())
}

#[tokio::test]
async fn a_batch_waits_for_its_resource_until_it_is_noted() -> Result<()> {
    let database = Database::fresh().await?;
    let batch = new_batch(database.submissions(3).await?);
    database.store.accept_batch(&batch).await?;
    let relay = turn(&database).await?;
    let waiting = relay.unmirrored_batches(10).await?;
    assert_eq!(waiting.len(), 1);
    let submissions: HashSet<Uuid> = waiting[0].submission_ids.iter().copied().collect();
    assert_eq!(submissions, batch.submission_ids.iter().copied().collect());
    assert_eq!(waiting[0].batch.knobs, batch.knobs);
    relay.mark_batch_mirrored(batch.id, "assay", &batch.id.to_string(), None).await?;
    assert_eq!(relay.unmirrored_batches(10).await?, []);
    Ok(())
}

//! Keeping resources up to date, and letting go of them.

use anyhow::{Context, Result};
use domain::{Knobs, Pool, Priority};
use store::{
    Applied, CancelRequest, ChangedBatch, Mirror, MirroredJob, MutableKnobs, NewJob, ShownBatch, Store,
};
use uuid::Uuid;

use crate::batches::{members, new_batch};
use crate::database::{Database, done, finish, new_job, resource};

/// A waiting job with a resource of its own, of which it is the uid.
async fn mirrored(database: &Database, ttl_seconds: u32) -> Result<Uuid> {
    let resource = resource("mine");
    let knobs = Knobs { ttl_seconds, ..Knobs::default() };
    let new =
        NewJob { id: resource.uid, resource: Some(resource), knobs, ..new_job(database.submission().await?) };
    database.accepted(&new).await
}

async fn changed(database: &Database) -> Result<Vec<(Uuid, i64)>> {
    Ok(database.store.changed(None, 10).await?.into_iter().map(|row| (row.id, row.version)).collect())
}

#[tokio::test]
async fn a_resource_is_out_of_date_until_it_shows_the_newest_version() -> Result<()> {
    let database = Database::fresh().await?;
    let job = mirrored(&database, 3600).await?;
    database.queued().await?;
    assert_eq!(changed(&database).await?, [(job, 1)]);
    database.start(job, 1).await?;
    database.store.mark_status_mirrored(&[(job, 1)]).await?;
    assert_eq!(changed(&database).await?, [(job, 2)], "it started meanwhile");
    database.store.mark_status_mirrored(&[(job, 2)]).await?;
    database.store.mark_status_mirrored(&[(job, 1)]).await?;
    assert_eq!(changed(&database).await?, [], "what is shown never grows older");
    database.store.finish(&[finish(job, 1, done())]).await?;
    assert_eq!(changed(&database).await?, [(job, 3)]);
    Ok(())
}

#[tokio::test]
async fn going_on_after_one_that_cannot_be_written_reaches_the_others() -> Result<()> {
    let database = Database::fresh().await?;
    let mut jobs = Vec::new();
    for _ in 0..3 {
        jobs.push(mirrored(&database, 0).await?);
    }
    jobs.sort();
    let page = database.store.changed(Some(jobs[0]), 10).await?;
    assert_eq!(page.iter().map(|row| row.id).collect::<Vec<_>>(), jobs[1..]);
    Ok(())
}

#[tokio::test]
async fn a_resource_expires_after_its_time_and_not_before_it_showed_the_end() -> Result<()> {
    let database = Database::fresh().await?;
    let (soon, later) = (mirrored(&database, 0).await?, mirrored(&database, 3600).await?);
    for job in [soon, later] {
        database.start(job, 1).await?;
        database.store.finish(&[finish(job, 1, done())]).await?;
    }
    assert_eq!(database.store.expired(None, 10).await?, []);
    database.store.mark_status_mirrored(&[(soon, 3), (later, 3)]).await?;
    let expired = database.store.expired(None, 10).await?;
    assert_eq!(expired.len(), 1);
    assert_eq!((expired[0].job, expired[0].uid, expired[0].name.as_str()), (soon, Some(soon), "mine"));
    let knobs = MutableKnobs { priority: Priority::default(), suspended: false, ttl_seconds: 0 };
    assert!(matches!(database.store.apply_knobs(later, knobs).await?, Applied::Changed(_)));
    assert_eq!(database.store.expired(None, 10).await?.len(), 2, "a shorter time counts at once");
    database.store.resource_gone(&[soon, later]).await?;
    assert_eq!(database.store.expired(None, 10).await?, []);
    assert_eq!(database.row(soon).await?.mirror, Mirror::Gone { uid: Some(soon) });
    Ok(())
}

#[tokio::test]
async fn going_on_after_one_that_cannot_be_deleted_reaches_the_others() -> Result<()> {
    let database = Database::fresh().await?;
    let mut jobs = Vec::new();
    for _ in 0..3 {
        let job = mirrored(&database, 0).await?;
        database.start(job, 1).await?;
        database.store.finish(&[finish(job, 1, done())]).await?;
        let version = database.row(job).await?.version;
        database.store.mark_status_mirrored(&[(job, version)]).await?;
        jobs.push(job);
    }
    let (mut found, mut after) = (Vec::new(), None);
    while let Some(expired) = database.store.expired(after, 1).await?.pop() {
        after = Some(expired.job);
        found.push(expired.job);
    }
    jobs.sort();
    assert_eq!(found, jobs, "though none was deleted");
    Ok(())
}

#[tokio::test]
async fn changed_choices_are_shown() -> Result<()> {
    let database = Database::fresh().await?;
    let job = mirrored(&database, 60).await?;
    database.store.mark_status_mirrored(&[(job, 1)]).await?;
    let knobs = MutableKnobs { priority: 9.try_into()?, suspended: true, ttl_seconds: 60 };
    let Applied::Changed(row) = database.store.apply_knobs(job, knobs).await? else { panic!("unchanged") };
    assert_eq!((row.priority.get(), row.suspended, row.ttl_seconds, row.version), (9, true, 60, 2));
    assert_eq!(changed(&database).await?, [(job, 2)]);
    assert_eq!(database.store.apply_knobs(Uuid::now_v7(), knobs).await?, Applied::NotFound);
    Ok(())
}

#[tokio::test]
async fn resources_deleted_unseen_are_found_by_comparing_pages() -> Result<()> {
    let database = Database::fresh().await?;
    let mut seen = vec![mirrored(&database, 60).await?, mirrored(&database, 60).await?];
    let unseen = database.queued().await?;
    let relay = database.store.begin_relay().await?.context("the turn")?;
    relay.mark_mirrored(&[MirroredJob { job: unseen, uid: None }], "assay").await?;
    database.queued().await?;
    seen.push(unseen);
    seen.sort();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = database.store.live_resources_page(after, 2).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.job);
        found.extend(page.into_iter().map(|live| live.job));
    }
    assert_eq!(found, seen);
    let unseen_rows = database.store.unseen_resources(&seen).await?;
    assert_eq!(unseen_rows.into_iter().map(|live| live.job).collect::<Vec<_>>(), [unseen]);
    database.store.unseen_resource_gone(&seen).await?;
    assert!(matches!(database.row(unseen).await?.mirror, Mirror::Job { .. }), "it has not ended");
    let request = CancelRequest { job: unseen, by: "ann".to_owned(), reason: "deleted".to_owned() };
    database.store.cancel(&[request]).await?;
    database.store.unseen_resource_gone(&seen).await?;
    assert_eq!(database.row(unseen).await?.mirror, Mirror::Gone { uid: None });
    assert_eq!(database.store.live_resources_page(None, 10).await?.len(), 2, "those with a uid stay");
    Ok(())
}

/// What is to be shown of all batches.
async fn to_show(store: &Store) -> Result<Vec<ChangedBatch>> {
    Ok(store.batches_changed(&store.unfinished_batches_page(None, 10).await?).await?)
}

#[tokio::test]
async fn a_batch_is_shown_when_its_counts_change_until_it_is_complete() -> Result<()> {
    let database = Database::fresh().await?;
    let store = &database.store;
    let mut batch = new_batch(database.submissions(2).await?);
    batch.knobs.ttl_seconds = 0;
    store.accept_batch(&batch).await?;
    assert_eq!(to_show(store).await?, [], "there is no resource to show it");
    let resource = resource("batch");
    store.bind_batch(batch.id, &resource).await?;
    let show = async || {
        let changed = to_show(store).await?;
        let shown: Vec<ShownBatch> = changed.iter().map(ChangedBatch::shown).collect();
        store.mark_batch_status_mirrored(&shown).await?;
        anyhow::Ok(changed)
    };
    let first = show().await?;
    assert_eq!((first.len(), first[0].counts.queued, &first[0].resource), (1, 2, &resource));
    assert_eq!(show().await?, []);
    for (at, job) in members(&database, batch.id).await?.into_iter().enumerate() {
        database.start(job, 1).await?;
        assert_eq!(show().await?[0].counts.running, 1);
        store.finish(&[finish(job, 1, done())]).await?;
        assert_eq!(store.batches_expired(None, 10).await?, []);
        assert_eq!(show().await?[0].counts.is_complete(), at == 1);
    }
    assert_eq!(show().await?, []);
    let expired = store.batches_expired(None, 10).await?;
    assert_eq!((expired[0].batch, expired[0].uid), (batch.id, Some(resource.uid)));
    store.batch_resource_gone(&[batch.id]).await?;
    assert_eq!(
        (store.batches_expired(None, 10).await?, store.live_batches_page(None, 10).await?),
        (vec![], vec![])
    );
    Ok(())
}

#[tokio::test]
async fn batches_are_counted_a_few_at_a_time_and_each_has_its_turn() -> Result<()> {
    let database = Database::fresh().await?;
    let store = &database.store;
    let mut batches = Vec::new();
    for _ in 0..3 {
        let batch = new_batch(database.submissions(1).await?);
        store.accept_batch(&batch).await?;
        store.bind_batch(batch.id, &resource("batch")).await?;
        batches.push(batch.id);
    }
    batches.sort_unstable();
    let first = store.unfinished_batches_page(None, 2).await?;
    let second = store.unfinished_batches_page(first.last().copied(), 2).await?;
    assert_eq!([first.clone(), second].concat(), batches);
    let changed: Vec<Uuid> =
        store.batches_changed(&first).await?.into_iter().map(|changed| changed.batch.id).collect();
    assert!(changed.len() == 2 && changed.iter().all(|batch| first.contains(batch)));
    Ok(())
}

#[tokio::test]
async fn the_choices_of_a_batch_reach_its_active_members() -> Result<()> {
    let database = Database::fresh().await?;
    let batch = new_batch(database.submissions(3).await?);
    database.store.accept_batch(&batch).await?;
    let jobs = members(&database, batch.id).await?;
    database.start(jobs[0], 1).await?;
    database.store.finish(&[finish(jobs[0], 1, done())]).await?;
    database.store.mark_queued(&jobs).await?;
    let knobs = |suspended| MutableKnobs { priority: Priority::default(), suspended, ttl_seconds: 5 };
    let changed = database.store.apply_batch_knobs(batch.id, knobs(true)).await?;
    assert_eq!(changed.len(), 2);
    assert!(changed.iter().all(|row| row.suspended && row.pool == Pool::default()));
    assert_eq!(database.store.apply_batch_knobs(batch.id, knobs(true)).await?, []);
    assert_eq!(database.store.apply_batch_knobs(batch.id, knobs(false)).await?.len(), 2);
    assert_eq!(database.store.unqueued_of_batch(batch.id, 10).await?.len(), 2);
    let detail = database.store.batch(batch.id).await?.context("the batch")?;
    assert_eq!((detail.batch.knobs.ttl_seconds, detail.batch.knobs.suspended), (5, false));
    Ok(())
}

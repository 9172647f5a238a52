//! What becomes of resources whose definition was made anew.

use anyhow::{Context, Result};
use domain::JobStatus;
use store::{Definition, Mirror, MirroredJob, ResourceKind};
use uuid::Uuid;

use crate::batches::new_batch;
use crate::database::{Database, resource};

#[tokio::test]
async fn the_first_definition_seen_and_the_same_again_forget_nothing() -> Result<()> {
    let database = Database::fresh().await?;
    let job = mirrored(&database, database.queued().await?).await?;
    let uid = Uuid::new_v4();
    for _ in 0..2 {
        assert_eq!(database.store.note_definition(ResourceKind::Job, uid).await?, Definition::Known);
    }
    assert!(matches!(database.row(job).await?.mirror, Mirror::Job { .. }));
    Ok(())
}

#[tokio::test]
async fn under_another_definition_active_jobs_are_mirrored_and_shown_anew() -> Result<()> {
    let database = Database::fresh().await?;
    let store = &database.store;
    let (active, ended) = (database.running(1).await?, database.done().await?);
    for job in [active, ended] {
        mirrored(&database, job).await?;
    }
    let before = database.row(active).await?;
    store.note_definition(ResourceKind::Job, Uuid::new_v4()).await?;
    store.note_definition(ResourceKind::Batch, Uuid::new_v4()).await?;
    let another = store.note_definition(ResourceKind::Job, Uuid::new_v4()).await?;
    assert_eq!(another, Definition::MadeAnew { forgotten: 1 });
    let row = database.row(active).await?;
    assert_eq!((row.status, &row.mirror), (JobStatus::Running, &Mirror::None));
    assert_eq!(database.row(ended).await?.mirror, Mirror::Gone { uid: None });
    let relay = store.begin_relay().await?.context("the turn")?;
    let waiting: Vec<Uuid> = relay.waiting(10).await?.into_iter().map(|row| row.id).collect();
    assert_eq!(waiting, [active]);
    relay.end().await?;
    mirrored(&database, active).await?;
    store.mark_status_mirrored(&[(active, before.version)]).await?;
    assert_eq!(
        store.changed(None, 10).await?.len(),
        1,
        "what the old one showed is not what the new one shows"
    );
    Ok(())
}

#[tokio::test]
async fn under_another_definition_a_batch_is_mirrored_and_shown_anew() -> Result<()> {
    let database = Database::fresh().await?;
    let store = &database.store;
    let batch = new_batch(database.submissions(2).await?);
    store.accept_batch(&batch).await?;
    store.bind_batch(batch.id, &resource("old")).await?;
    let shown = store.batches_changed(&[batch.id]).await?.pop().context("a batch to be shown")?.shown();
    store.mark_batch_status_mirrored(std::slice::from_ref(&shown)).await?;
    store.note_definition(ResourceKind::Batch, Uuid::new_v4()).await?;
    let another = store.note_definition(ResourceKind::Batch, Uuid::new_v4()).await?;
    assert_eq!(another, Definition::MadeAnew { forgotten: 1 });
    let relay = store.begin_relay().await?.context("the turn")?;
    assert_eq!(relay.unmirrored_batches(10).await?[0].batch.id, batch.id);
    store.bind_batch(batch.id, &resource("new")).await?;
    store.mark_batch_status_mirrored(&[shown]).await?;
    assert_eq!(store.batches_changed(&[batch.id]).await?.len(), 1, "noted late, and of the old one");
    Ok(())
}

/// A job whose resource is there.
async fn mirrored(database: &Database, job: Uuid) -> Result<Uuid> {
    let relay = database.store.begin_relay().await?.context("the turn")?;
    relay.mark_mirrored(&[MirroredJob { job, uid: Some(Uuid::new_v4()) }], "assay").await?;
    relay.end().await?;
    Ok(job)
}

//! Looking at what is waited for, in one statement for all of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use domain::{BatchId, JobId};
use runtime::{Outage, in_full};
use store::{Store, StoreError, Version};
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

use super::Hub;

/// How often all that is waited for is looked at, whatever was announced.
const EVERY: Duration = Duration::from_secs(1);

/// How many jobs, and how many batches, one statement looks at.
const JOBS: usize = 1_000;
const BATCHES: usize = 50;

/// How soon a batch is looked at again whose members end one after the other.
const BATCH_REST: Duration = Duration::from_millis(100);

/// Shows jobs to those who wait for them, for ever.
pub(crate) async fn look_at_jobs(hub: Hub, store: Store, postgres: Arc<Outage>) {
    let mut due = Instant::now() + EVERY;
    loop {
        timeout_at(due, hub.jobs().to_look()).await.ok();
        let changed = hub.jobs().take_changed();
        let looked = if changed.is_empty() || due <= Instant::now() {
            due = Instant::now() + EVERY;
            look_for_jobs(&hub, &store).await
        } else {
            show_jobs(&hub, &store, &changed).await
        };
        note(&postgres, looked).await;
    }
}

/// Finds those that have changed without a word.
async fn look_for_jobs(hub: &Hub, store: &Store) -> Result<(), StoreError> {
    for seen in hub.jobs().seen().chunks(JOBS) {
        let ids: Vec<JobId> = seen.iter().map(|(id, _)| *id).collect();
        let changed = changed(seen, &store.job_versions(&ids).await?);
        show_jobs(hub, store, &changed).await?;
    }
    Ok(())
}

async fn show_jobs(hub: &Hub, store: &Store, jobs: &[JobId]) -> Result<(), StoreError> {
    for jobs in jobs.chunks(JOBS) {
        for detail in store.jobs_in_full(jobs).await? {
            hub.jobs().show(detail.job.id, Arc::new(detail));
        }
    }
    Ok(())
}

/// Shows batches to those who wait for them, for ever.
pub(crate) async fn look_at_batches(hub: Hub, store: Store, postgres: Arc<Outage>) {
    let mut due = Instant::now() + EVERY;
    loop {
        timeout_at(due, hub.batches().to_look()).await.ok();
        let changed = hub.batches().take_changed();
        let looked = if changed.is_empty() || due <= Instant::now() {
            due = Instant::now() + EVERY;
            look_for_batches(&hub, &store).await
        } else {
            look_at_batches_of(&hub, &store, &changed).await
        };
        note(&postgres, looked).await;
        sleep(BATCH_REST).await;
    }
}

async fn look_at_batches_of(hub: &Hub, store: &Store, jobs: &[JobId]) -> Result<(), StoreError> {
    let watched: Vec<BatchId> = hub.batches().seen().into_iter().map(|(id, _)| id).collect();
    let mut batches = HashSet::new();
    for jobs in jobs.chunks(JOBS) {
        batches.extend(store.batches_of(jobs, &watched).await?);
    }
    show_batches(hub, store, batches).await
}

async fn look_for_batches(hub: &Hub, store: &Store) -> Result<(), StoreError> {
    for seen in hub.batches().seen().chunks(BATCHES) {
        let ids: Vec<BatchId> = seen.iter().map(|(id, _)| *id).collect();
        let changed = changed(seen, &store.batch_versions(&ids).await?);
        show_batches(hub, store, changed).await?;
    }
    Ok(())
}

async fn show_batches(
    hub: &Hub,
    store: &Store,
    batches: impl IntoIterator<Item = BatchId>,
) -> Result<(), StoreError> {
    for batch in batches {
        if let Some(detail) = store.batch(batch).await? {
            hub.batches().show(batch, Arc::new(detail));
        }
    }
    Ok(())
}

/// Those whose version on record is another than the one that was seen.
fn changed(seen: &[(Uuid, Option<Version>)], on_record: &[(Uuid, Version)]) -> Vec<Uuid> {
    let seen: HashMap<Uuid, Version> =
        seen.iter().filter_map(|(id, version)| Some((*id, (*version)?))).collect();
    // What was never seen is being read by whoever waits for it.
    let differs = |(id, version): &&(Uuid, Version)| seen.get(id).is_some_and(|seen| seen != version);
    on_record.iter().filter(differs).map(|(id, _)| *id).collect()
}

/// While Postgres is away, those who wait go on waiting.
async fn note(postgres: &Outage, looked: Result<(), StoreError>) {
    if let Err(error) = looked {
        postgres.begin(&in_full(&error));
        sleep(EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_seen_and_is_another_by_now_has_changed() {
        let ids: Vec<Uuid> = (0..3).map(|_| Uuid::now_v7()).collect();
        let version = |number| Version { number, priority: 5, ended: false };
        let seen = [(ids[0], Some(version(1))), (ids[1], Some(version(1))), (ids[2], None)];
        let on_record = [(ids[0], version(1)), (ids[1], version(2)), (ids[2], version(7))];
        assert_eq!(changed(&seen, &on_record), [ids[1]]);
    }
}

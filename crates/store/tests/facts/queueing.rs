//! What Postgres says belongs on Redis.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context, Result};
use domain::{Epoch, ErrorCode, JobId, Knobs, Pool};
use store::{Applied, Ending, MutableKnobs, ToQueue};

use crate::database::{Database, finish};

const NOW: Duration = Duration::ZERO;

fn ids(page: &[ToQueue]) -> HashSet<JobId> {
    page.iter().map(|job| job.job).collect()
}

fn suspended() -> Knobs {
    Knobs { suspended: true, ..Knobs::default() }
}

fn knobs(suspended: bool) -> MutableKnobs {
    MutableKnobs { priority: domain::Priority::default(), suspended, ttl_seconds: 3600 }
}

#[tokio::test]
async fn a_job_is_to_be_queued_until_it_is_noted_that_it_is() -> Result<()> {
    let database = Database::fresh().await?;
    let (first, second) = (database.queued().await?, database.queued().await?);
    let found = database.store.unqueued(10, NOW).await?;
    assert_eq!(found.iter().map(|job| job.job).collect::<Vec<_>>(), [first, second]);
    assert_eq!((found[0].delay, found[0].epoch, found[0].leased), (NOW, Epoch::NONE, false));
    database.store.mark_queued(&[first]).await?;
    assert_eq!(ids(&database.store.unqueued(10, NOW).await?), HashSet::from([second]));
    assert!(database.row(first).await?.queued_at.is_some());
    assert_eq!(database.row(second).await?.queued_at, None);
    Ok(())
}

#[tokio::test]
async fn the_young_are_left_to_whoever_brought_them() -> Result<()> {
    let database = Database::fresh().await?;
    database.queued().await?;
    assert_eq!(database.store.unqueued(10, Duration::from_secs(60)).await?, []);
    assert_eq!(database.store.unqueued(0, NOW).await?, []);
    Ok(())
}

#[tokio::test]
async fn what_started_or_ended_before_it_was_noted_is_not_queued() -> Result<()> {
    let database = Database::fresh().await?;
    database.running(1).await?;
    database.done().await?;
    assert_eq!(database.store.unqueued(10, NOW).await?, []);
    assert_eq!(database.number("SELECT count(*) FROM scoring_unqueued").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_job_that_is_held_back_is_queued_once_it_no_longer_is() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.queued_with(suspended()).await?;
    assert_eq!(database.store.unqueued(10, NOW).await?, []);
    assert_eq!(database.store.active_page(&Pool::default(), None, 10).await?, []);
    assert_eq!(database.store.active_of(&[job]).await?, []);
    assert_eq!(database.row(job).await?.to_queue(), None);
    let Applied::Changed(row) = database.store.apply_knobs(job, knobs(false)).await? else { panic!() };
    assert!(row.to_queue().is_some());
    assert_eq!(ids(&database.store.unqueued(10, NOW).await?), HashSet::from([job]));
    Ok(())
}

#[tokio::test]
async fn a_job_held_back_after_it_was_queued_is_queued_anew_when_it_is_resumed() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.queued().await?;
    database.store.mark_queued(&[job]).await?;
    assert!(matches!(database.store.apply_knobs(job, knobs(true)).await?, Applied::Changed(_)));
    assert_eq!(database.store.unqueued(10, NOW).await?, []);
    assert!(matches!(database.store.apply_knobs(job, knobs(false)).await?, Applied::Changed(_)));
    assert_eq!(database.store.apply_knobs(job, knobs(false)).await?, Applied::Unchanged);
    assert_eq!(ids(&database.store.unqueued(10, NOW).await?), HashSet::from([job]));
    Ok(())
}

#[tokio::test]
async fn a_rebuild_finds_every_active_job_of_its_pool_page_by_page() -> Result<()> {
    let database = Database::fresh().await?;
    let gpu = Knobs { pool: "gpu".parse()?, ..Knobs::default() };
    database.queued_with(gpu).await?;
    database.queued_with(suspended()).await?;
    database.done().await?;
    let mut expected = HashSet::from([database.running(9).await?]);
    for _ in 0..6 {
        expected.insert(database.queued().await?);
    }
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = database.store.active_page(&Pool::default(), after, 2).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.job);
        found.extend(page);
    }
    assert_eq!(found.len(), expected.len());
    assert_eq!(ids(&found), expected);
    let running = found.iter().find(|job| job.leased).context("the running one")?;
    assert_eq!(running.epoch, Epoch(9));
    Ok(())
}

#[tokio::test]
async fn the_reverse_audit_finds_what_still_belongs_on_the_queue() -> Result<()> {
    let database = Database::fresh().await?;
    let (queued, running, ended) =
        (database.queued().await?, database.running(3).await?, database.done().await?);
    let found = database.store.active_of(&[queued, running, ended, JobId::now_v7()]).await?;
    assert_eq!(ids(&found), HashSet::from([queued, running]));
    Ok(())
}

#[tokio::test]
async fn the_pools_of_active_jobs_are_known_whoever_configured_them() -> Result<()> {
    let database = Database::fresh().await?;
    assert_eq!(database.store.active_pools().await?, []);
    for pool in ["gpu", "gpu", "cpu"] {
        database.queued_with(Knobs { pool: pool.parse()?, ..Knobs::default() }).await?;
    }
    database.done().await?;
    let found: HashSet<Pool> = database.store.active_pools().await?.into_iter().collect();
    assert_eq!(found, HashSet::from(["gpu".parse()?, "cpu".parse()?]));
    Ok(())
}

#[tokio::test]
async fn a_delay_is_what_is_left_of_it_and_never_negative() -> Result<()> {
    let database = Database::fresh().await?;
    let past = Knobs { not_before: "2020-01-01T00:00:00Z".parse().ok(), ..Knobs::default() };
    let past = database.queued_with(past).await?;
    let retried = database.running(1).await?;
    let minute = Duration::from_secs(60);
    let ending = Ending::Retryable { code: ErrorCode::TIMEOUT, message: String::new(), delay: minute };
    database.store.finish(&[finish(retried, 1, ending)]).await?;
    assert_eq!(database.row(past).await?.delay, NOW);
    let to_queue = database.row(retried).await?.to_queue().context("it waits")?;
    assert!(to_queue.delay > minute / 2 && to_queue.delay <= minute, "{to_queue:?}");
    assert_eq!((to_queue.epoch, to_queue.leased), (Epoch(1), false));
    Ok(())
}

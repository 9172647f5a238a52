//! Jobs that are held back.

use anyhow::Result;
use domain::{JobStatus, Priority};
use store::MutableKnobs;
use testkit::{Link, Weather};

use crate::fixture::World;

#[tokio::test]
async fn a_job_resumed_while_its_claim_is_dropped_is_queued_at_once() -> Result<()> {
    let world = World::new().await?;
    let (link, linked) = Link::to_url(&world.redis_url, Weather::Fair).await?;
    let job = world.queued().await?;
    let mut other = world.sql.begin().await?;
    sqlx::query("UPDATE scoring_jobs SET suspended = TRUE").execute(&mut *other).await?;
    let scorer = world.scorer_by_way_of(&world.database_url, &linked).await?;
    // It has claimed the job, and is told that the job is held back; what it does then reaches Redis only after the
    // job was resumed.
    world.until_waiting(1).await?;
    link.set(Weather::Stalled);
    other.commit().await?;
    world.until_waiting(0).await?;
    let resumed = MutableKnobs { priority: Priority::default(), suspended: false, ttl_seconds: 3600 };
    world.store.apply_knobs(job, resumed).await?;
    world.enqueue(&world.store.active_of(&[job]).await?).await?;
    world.store.mark_queued(&[job]).await?;
    link.set(Weather::Fair);
    world.until_row(job, "done", |row| row.status == JobStatus::Done).await?;
    scorer.stop().await
}

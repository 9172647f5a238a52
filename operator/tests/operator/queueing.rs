use anyhow::Result;

use crate::world::{World, eventually};

#[tokio::test]
async fn a_job_without_a_resource_is_queued_straight_from_postgres() -> Result<()> {
    let world = World::new().await?;
    let job = world.accepted_job(world.submission().await?).await?;
    let operator = world.operator("a").await?;
    world.until_ready(1).await?;
    world.until_row(job, "known to be queued", |row| row.queued_at.is_some()).await?;
    operator.stop().await
}

#[tokio::test]
async fn a_job_that_redis_lost_on_its_own_is_back_after_the_next_audit() -> Result<()> {
    let world = World::new().await?;
    let job = world.accepted_job(world.submission().await?).await?;
    let operator = world.operator("a").await?;
    world.until_row(job, "known to be queued", |row| row.queued_at.is_some()).await?;
    world.queue.withdraw(&world.pool, &[job]).await?;
    world.until_ready(1).await?;
    operator.stop().await
}

#[tokio::test]
async fn a_queue_without_generation_is_rebuilt_and_current_again() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator("a").await?;
    let is_current = async || Ok(world.queue.is_current(&world.pool).await?);
    eventually("the new queue is current", is_current, |current| *current).await?;
    operator.stop().await
}

use std::time::Duration;

use anyhow::Result;
use domain::{JobId, Knobs, Pool};
use jiff::Timestamp;
use store::{Applied, CancelRequest, MutableKnobs};

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
    // The rebuild of a new queue would restore the job too.
    let is_current = async || Ok(world.queue.is_current(&world.pool).await?);
    eventually("the new queue is current", is_current, |current| *current).await?;
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

#[tokio::test]
async fn a_pool_with_a_damaged_queue_rebuilds_itself() -> Result<()> {
    let world = World::new().await?;
    let waiting = world.accepted_job(world.submission().await?).await?;
    let leased = world.accepted_job(world.submission().await?).await?;
    let operator = world.operator("a").await?;
    world.until_ready(2).await?;
    let claim = world.queue.claim(&world.pool, 1).await?.claims[0];
    assert_eq!(claim.job, waiting);

    // No script can do anything with such a key.
    let key = |name| format!("{{assay:{}}}:{name}", world.pool);
    let mut redis = world.redis().await?;
    redis::pipe().del(key("leases")).set(key("leases"), "no set").exec_async(&mut redis).await?;
    let ready = async || Ok(world.queue.depth(&world.pool).await.map_or(0, |depth| depth.ready));
    eventually("both jobs are ready again", ready, |ready| *ready == 2).await?;
    let is_current = async || Ok(world.queue.is_current(&world.pool).await?);
    eventually("the queue is current again", is_current, |current| *current).await?;

    // A missing rank, by contrast, keeps nothing from working.
    let claims = world.queue.claim(&world.pool, 2).await?.claims;
    assert_eq!(claims.iter().map(|claim| claim.job).collect::<Vec<_>>(), [waiting, leased]);
    redis::cmd("DEL").arg(key("ranks")).exec_async(&mut redis).await?;
    for job in [waiting, leased] {
        redis::cmd("ZADD").arg(key("leases")).arg(1).arg(job.to_string()).exec_async(&mut redis).await?;
    }
    world.until_ready(2).await?;
    operator.stop().await
}

#[tokio::test]
async fn a_pool_that_is_not_configured_is_kept_true_once_it_has_jobs() -> Result<()> {
    let world = World::new().await?;
    let other: Pool = format!("{}-other", world.pool.as_str()).parse()?;
    let knobs = Knobs { pool: other.clone(), ..Knobs::default() };
    let job = world.accepted_job_with(world.submission().await?, knobs).await?;
    let operator = world.operator("a").await?;
    world.until_row(job, "known to be queued", |row| row.queued_at.is_some()).await?;
    world.queue.discard(&other).await?;
    let depth = async || Ok(world.queue.depth(&other).await?);
    eventually("the queue is rebuilt", depth, |depth| depth.ready == 1).await?;
    assert!(world.queue.is_current(&other).await?);
    operator.stop().await
}

#[tokio::test]
async fn a_cancelled_delayed_job_leaves_the_queue() -> Result<()> {
    let world = World::new().await?;
    let tomorrow = Timestamp::now() + Duration::from_secs(86_400);
    let later = Knobs { not_before: Some(tomorrow), ..world.knobs() };
    let mut jobs = Vec::new();
    for _ in 0..2 {
        jobs.push(world.accepted_job_with(world.submission().await?, later.clone()).await?);
    }
    let ready: JobId = world.accepted_job(world.submission().await?).await?;
    let operator = world.operator("a").await?;
    let depth = async || Ok(world.queue.depth(&world.pool).await?);
    eventually("all wait", depth, |depth| (depth.delayed, depth.ready) == (2, 1)).await?;

    // As the gateway does, which knows no Redis.
    let cancel = |job| CancelRequest { job, by: "ann".to_owned(), reason: "why".to_owned() };
    world.store.cancel(&[cancel(jobs[0]), cancel(ready)]).await?;
    eventually("only one waits", depth, |depth| (depth.delayed, depth.ready) == (1, 0)).await?;
    operator.stop().await
}

#[tokio::test]
async fn a_job_held_back_unnoticed_leaves_the_queue_until_it_is_resumed() -> Result<()> {
    let world = World::new().await?;
    let job = world.accepted_job(world.submission().await?).await?;
    let operator = world.operator("a").await?;
    world.until_ready(1).await?;
    let knobs =
        |suspended| MutableKnobs { priority: domain::Priority::default(), suspended, ttl_seconds: 3600 };
    assert!(matches!(world.store.apply_knobs(job, knobs(true)).await?, Applied::Changed(_)));
    world.until_ready(0).await?;
    assert!(matches!(world.store.apply_knobs(job, knobs(false)).await?, Applied::Changed(_)));
    world.until_ready(1).await?;
    operator.stop().await
}

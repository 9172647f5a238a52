//! What `/readyz` says while a server is away, also when it is away without a word.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use domain::JobStatus;
use testkit::{Link, Weather};

use crate::fixture::{Running, World};

/// A scorer that reaches its servers by links.
async fn linked(world: &World) -> Result<(Running, Link, Link)> {
    let (postgres, database_url) = Link::to_url(&world.database_url, Weather::Fair).await?;
    let (redis, redis_url) = Link::to_url(&world.redis_url, Weather::Fair).await?;
    let scorer = world.scorer_by_way_of(&database_url, &redis_url).await?;
    scorer.until_ready_is(true).await?;
    Ok((scorer, postgres, redis))
}

#[tokio::test]
async fn a_scorer_is_not_ready_while_a_server_refuses_or_hangs_and_takes_jobs_afterwards() -> Result<()> {
    let world = World::new().await?;
    let (scorer, postgres, redis) = linked(&world).await?;
    for weather in [Weather::Cut, Weather::Stalled] {
        for (name, link) in [("redis", &redis), ("postgres", &postgres)] {
            link.set(weather);
            let begun = Instant::now();
            let text = scorer.until_ready_is(false).await?;
            ensure!(begun.elapsed() < Duration::from_secs(2), "noticed after {:?}", begun.elapsed());
            ensure!(text.lines().any(|line| line.starts_with(name) && !line.ends_with(": ok")), "{text}");
            link.set(Weather::Fair);
            scorer.until_ready_is(true).await?;
            let job = world.queued().await?;
            world.until_row(job, "done", |row| row.status == JobStatus::Done).await?;
        }
    }
    scorer.stop().await
}

#[tokio::test]
async fn a_scorer_whose_connections_are_dead_for_good_makes_new_ones() -> Result<()> {
    let world = World::new().await?;
    let (scorer, postgres, redis) = linked(&world).await?;
    for link in [&redis, &postgres] {
        link.lose_connections();
        let job = world.queued().await?;
        let row = world.until_row(job, "done", |row| row.status == JobStatus::Done).await?;
        assert_eq!(row.attempt, 1);
        scorer.until_ready_is(true).await?;
    }
    scorer.stop().await
}

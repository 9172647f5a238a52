//! Servers that are gone without a word.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use testkit::{Link, TempFolder, Weather};

use crate::world::{World, eventually};

/// Longer than a watch may be silent.
const NOTICED_WITHIN: Duration = Duration::from_secs(50);

#[tokio::test]
async fn a_watch_on_an_api_server_that_is_silently_gone_is_begun_anew() -> Result<()> {
    let mut world = World::new().await?;
    let folder = TempFolder::new()?;
    let linked = folder.path().join("kubeconfig");
    let link = Link::to_kubeconfig(&world.kubeconfig, &linked).await?;
    world.kubeconfig = linked;

    // It leads for longer than a watch can be dead, so that a new term does not begin the watches anew.
    let operator = world.operator_that_leads("only", "120s").await?;
    world.create_job("before", world.submission().await?, &world.knobs()).await?;
    world.until_ready(1).await?;
    // What is open is dead for good, what is opened now works. Only by the watch does anybody learn of the next one.
    link.lose_connections();
    world.create_job("after", world.submission().await?, &world.knobs()).await?;
    let begun = Instant::now();
    while world.queue.depth(&world.pool).await?.ready < 2 {
        ensure!(begun.elapsed() < NOTICED_WITHIN, "the watch is still deaf after {:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    operator.stop().await
}

#[tokio::test]
async fn an_operator_is_not_ready_while_redis_is_silent_and_queues_afterwards() -> Result<()> {
    let mut world = World::new().await?;
    let (link, url) = Link::to_url(&world.redis_url, Weather::Fair).await?;
    world.redis_url = url;
    let operator = world.operator("only").await?;
    eventually("it is ready", async || operator.readiness().await, |(status, _)| *status == 200).await?;
    link.set(Weather::Stalled);
    let (status, text) = operator.readiness().await?;
    ensure!(status == 503 && text.contains("redis: no answer within"), "{status} {text}");
    link.set(Weather::Fair);
    eventually("it is ready again", async || operator.readiness().await, |(status, _)| *status == 200)
        .await?;
    world.accepted_job(world.submission().await?).await?;
    world.until_ready(1).await?;
    operator.stop().await
}

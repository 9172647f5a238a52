//! What a scorer says of itself on Redis.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use queue::ScorerLoad;

use crate::fixture::World;

#[tokio::test]
async fn a_scorer_says_that_it_is_there_with_its_slots_and_takes_its_leave() -> Result<()> {
    let world = World::new().await?;
    let scorer = world.scorer().await?;
    let begun = Instant::now();
    let loads = async || {
        let scorers = world.queue.scorers(&world.pool).await?;
        anyhow::Ok(scorers.into_iter().map(|(_, load)| load).collect::<Vec<_>>())
    };
    while loads().await? != [ScorerLoad { slots: 5, held: 0 }] {
        ensure!(begun.elapsed() < Duration::from_secs(30), "{:?}", loads().await?);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    scorer.stop().await?;
    assert_eq!(loads().await?, []);
    Ok(())
}

//! What a scorer says of itself on Redis.

use std::time::Duration;

use anyhow::Result;
use queue::ScorerLoad;
use testkit::{Seen, until};

use crate::fixture::World;

#[tokio::test]
async fn a_scorer_says_that_it_is_there_with_its_slots_and_takes_its_leave() -> Result<()> {
    let world = World::new().await?;
    let scorer = world.scorer().await?;
    let loads = async || {
        let scorers = world.queue.scorers(&world.pool).await?;
        anyhow::Ok(scorers.into_iter().map(|(_, load)| load).collect::<Vec<_>>())
    };
    until("it has said that it is there", Duration::from_secs(30), async || {
        let loads = loads().await?;
        Ok(Seen::when(loads == [ScorerLoad { slots: 5, held: 0 }], || format!("{loads:?}")))
    })
    .await?;
    scorer.stop().await?;
    assert_eq!(loads().await?, []);
    Ok(())
}

//! SIGTERM.

use anyhow::Result;
use domain::{AttemptOutcome, JobStatus};
use testkit::{Link, Weather};

use crate::fixture::World;

#[tokio::test]
async fn a_stop_while_a_start_is_unanswered_spends_no_attempt() -> Result<()> {
    let world = World::new().await?;
    let (link, linked) = Link::to_url(&world.database_url, Weather::Fair).await?;
    let job = world.accepted().await?;
    let mut other = world.sql.begin().await?;
    sqlx::query("SELECT id FROM scoring_jobs FOR UPDATE").execute(&mut *other).await?;
    let scorer = world.scorer_by_way_of(&linked, &world.redis_url).await?;
    world.enqueue(&world.store.active_of(&[job]).await?).await?;
    // The start is under way; it takes effect, and its answer gets lost.
    world.until_waiting(1).await?;
    link.set(Weather::Mute);
    other.commit().await?;
    world.until_row(job, "running", |row| row.status == JobStatus::Running).await?;
    scorer.stop().await?;

    let scorer = world.scorer().await?;
    let row = world.until_row(job, "done", |row| row.status == JobStatus::Done).await?;
    assert_eq!(row.attempt, 1);
    assert_eq!(world.outcomes(job).await?, [AttemptOutcome::Released, AttemptOutcome::Done]);
    scorer.stop().await
}

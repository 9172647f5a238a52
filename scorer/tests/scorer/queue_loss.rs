//! What Redis forgets, and what that must not cost.

use anyhow::Result;
use domain::{AttemptOutcome, Epoch, JobStatus};
use store::StartRequest;

use crate::fixture::World;

#[tokio::test]
async fn a_loss_of_redis_spends_no_attempt_of_a_scorer_that_lives() -> Result<()> {
    let world = World::new().await?;
    let job = world.queued().await?;
    let claim = world.claim().await?;
    // Redis is emptied, and a rebuild reads the job while its claim has not been started yet.
    world.queue.discard(&world.pool).await?;
    let waiting = world.store.active_page(&world.pool, None, 10).await?;
    let start =
        StartRequest { job, epoch: claim.epoch, expired: Epoch::NONE, scorer: "in good health".to_owned() };
    world.store.start(&[start]).await?;
    world.enqueue(&waiting).await?;

    let scorer = world.scorer().await?;
    let row = world.until_row(job, "done", |row| row.status == JobStatus::Done).await?;
    assert_eq!(row.attempt, 1);
    assert_eq!(world.outcomes(job).await?, [AttemptOutcome::Released, AttemptOutcome::Done]);
    scorer.stop().await
}

#[tokio::test]
async fn a_lease_that_ran_out_spends_the_attempt() -> Result<()> {
    let world = World::new().await?;
    let job = world.queued().await?;
    let claim = world.claim().await?;
    let start = StartRequest { job, epoch: claim.epoch, expired: Epoch::NONE, scorer: "dead".to_owned() };
    world.store.start(&[start]).await?;
    world.let_lease_run_out(job)?;

    let scorer = world.scorer().await?;
    let row = world.until_row(job, "ended", |row| row.status == JobStatus::Error).await?;
    assert_eq!(row.attempt, 1);
    assert_eq!(world.outcomes(job).await?, [AttemptOutcome::LeaseLost]);
    scorer.stop().await
}

//! A scorer that the network cuts off while it works.

use anyhow::{Result, ensure};
use e2e::world::{self, PATIENCE};
use e2e::{Gate, sources};
use testkit::Weather;

#[tokio::test]
async fn a_scorer_cut_off_from_everything_is_replaced_and_changes_nothing_when_it_is_back() -> Result<()> {
    world::with(world::stack().scorers(2).links(), async |world| {
        let gate = Gate::close(&world.database).await?;
        let job = world.hold_one(&gate).await?;
        let cut_off = world.scorer_of(job).await?;
        cut_off.links()?.set(Weather::Stalled);
        world.until_taken_from(cut_off, job).await?;
        gate.open().await?;
        let row = world.database.until_job_is(job, "DONE", PATIENCE).await?;

        cut_off.links()?.set(Weather::Fair);
        world::until_stopped_or_refused(cut_off).await?;
        assert_eq!(world.database.job(job).await?, row);
        assert_eq!(world.database.outcomes_of(job).await?, ["lease_lost", "done"]);
        world.is_in_order(&[job]).await?;

        // Both are of use again.
        let next = world.api.submit_and_score(&sources::python(2), "quick").await?;
        world.database.until_job_is(next, "DONE", PATIENCE).await?;
        cut_off.ready().await?;
        world.is_in_order(&[job, next]).await
    })
    .await
}

#[tokio::test]
async fn a_scorer_cut_off_from_redis_alone_stops_what_another_has_taken() -> Result<()> {
    world::with(world::stack().scorers(2).links(), async |world| {
        let gate = Gate::close(&world.database).await?;
        let job = world.hold_one(&gate).await?;
        let cut_off = world.scorer_of(job).await?;
        cut_off.links()?.redis.set(Weather::Stalled);
        let taken = world.until_taken_from(cut_off, job).await?;
        ensure!(taken.attempt == 2, "{taken:?}");
        // Redis cannot tell it, Postgres does.
        world::until_stopped_or_refused(cut_off).await?;
        gate.open().await?;
        let row = world.database.until_job_is(job, "DONE", PATIENCE).await?;
        assert_ne!(row.scorer.as_deref(), Some(cut_off.name()));
        assert_eq!(world.database.outcomes_of(job).await?, ["lease_lost", "done"]);
        cut_off.links()?.redis.set(Weather::Fair);
        cut_off.ready().await?;
        world.is_in_order(&[job]).await
    })
    .await
}

//! A scorer that the network cuts off while it works.

use anyhow::{Result, ensure};
use e2e::world::{self, PATIENCE, metric};
use e2e::{Gate, Row, Seen, World, sources, until};
use testkit::{Service, Weather};
use uuid::Uuid;

/// Has a job RUNNING at the gate. Gives the scorer that runs it, too.
async fn hold_one<'w>(world: &'w World, gate: &Gate) -> Result<(Uuid, &'w Service)> {
    let job = world.api.submit_and_score(&sources::python(1), gate.rubric()).await?;
    world.database.until_job_is(job, "RUNNING", PATIENCE).await?;
    Ok((job, world.scorer_of(job).await?))
}

async fn until_taken_from(scorer: &Service, job: Uuid, world: &World) -> Result<Row> {
    let taken = |row: &Row| row.scorer.as_deref() != Some(scorer.name());
    world.database.until_job(job, "is taken over", PATIENCE, taken).await
}

async fn until_stopped_or_refused(scorer: &Service) -> Result<()> {
    until("its work was stopped, or its write refused", PATIENCE, async || {
        let stopped = metric(scorer, "assay_scorer_stopped_total").await?;
        let refused = metric(scorer, "assay_scorer_refused_total").await?;
        Ok(Seen::when(stopped + refused >= 1.0, || format!("{stopped} stopped, {refused} refused")))
    })
    .await
}

#[tokio::test]
async fn a_scorer_cut_off_from_everything_is_replaced_and_its_late_writes_are_refused() -> Result<()> {
    world::with(world::stack().scorers(2).links(), async |world| {
        let gate = Gate::close(&world.database).await?;
        let (job, cut_off) = hold_one(world, &gate).await?;
        cut_off.links()?.set(Weather::Stalled);
        until_taken_from(cut_off, job, world).await?;
        gate.open().await?;
        let row = world.database.until_job_is(job, "DONE", PATIENCE).await?;

        cut_off.links()?.set(Weather::Fair);
        until_stopped_or_refused(cut_off).await?;
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
        let (job, cut_off) = hold_one(world, &gate).await?;
        cut_off.links()?.redis.set(Weather::Stalled);
        let taken = until_taken_from(cut_off, job, world).await?;
        ensure!(taken.attempt == 2, "{taken:?}");
        // Redis cannot tell it, Postgres does.
        until_stopped_or_refused(cut_off).await?;
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

//! Scorers that die, stall and come back.

use anyhow::{Context, Result, ensure};
use e2e::world::{self, LEASE, PATIENCE, metric};
use e2e::{Barrier, Gate, Seen, sources, until};
use serde_json::json;

#[tokio::test]
async fn the_job_of_a_killed_scorer_is_taken_over_within_its_lease_and_a_second() -> Result<()> {
    world::with(world::stack().scorers(2), async |world| {
        let gate = Gate::close(&world.database).await?;
        let job = world.hold_one(&gate).await?;
        let victim = world.scorer_of(job).await?;
        victim.kill9().await?;
        // The lease as its last renewal left it.
        let deadline = world.lease_deadline(job).await?;
        gate.open().await?;

        let row = world.database.until_job_is(job, "DONE", PATIENCE).await?;
        let [lost, done] = &world.database.attempts_of(job).await?[..] else {
            anyhow::bail!("not two attempts: {:?}", world.database.attempts_of(job).await?)
        };
        assert_eq!((lost.outcome.as_str(), done.outcome.as_str()), ("lease_lost", "done"));
        assert_eq!((lost.scorer.as_str(), lost.attempt, done.attempt), (victim.name(), 1, 2));
        assert_ne!(done.scorer, lost.scorer);
        ensure!(done.lease_epoch > lost.lease_epoch, "{done:?} does not have a newer epoch than {lost:?}");
        assert_eq!((row.attempt, row.lease_epoch), (2, done.lease_epoch));
        let late = done.started_ms - deadline;
        ensure!(late >= 0, "taken over {late} ms before the lease of {LEASE:?} had ended");
        ensure!(late <= 1_000, "taken over {late} ms after the lease of {LEASE:?} had ended");
        world.is_in_order(&[job]).await
    })
    .await
}

#[tokio::test]
async fn a_scorer_that_wakes_after_its_lease_was_lost_changes_nothing() -> Result<()> {
    world::with(world::stack().scorers(2), async |world| {
        let gate = Gate::close(&world.database).await?;
        let job = world.hold_one(&gate).await?;
        let zombie = world.scorer_of(job).await?;
        zombie.pause().await?;
        world.until_taken_from(zombie, job).await?;
        gate.open().await?;
        let row = world.database.until_job_is(job, "DONE", PATIENCE).await?;

        // Redis could tell it that it has lost the job. Without Redis there is only the epoch in Postgres.
        let redis = world.stack.own_redis()?;
        redis.pause().await?;
        zombie.resume()?;
        world::until_stopped_or_refused(zombie).await?;
        redis.resume()?;

        assert_eq!(world.database.job(job).await?, row);
        assert_eq!(world.database.outcomes_of(job).await?, ["lease_lost", "done"]);
        world.is_in_order(&[job]).await?;

        // It is of use again.
        let next = world.api.submit_and_score(&sources::python(2), "quick").await?;
        world.database.until_job_is(next, "DONE", PATIENCE).await?;
        world.is_in_order(&[job, next]).await
    })
    .await
}

#[tokio::test]
async fn a_write_that_arrives_after_the_lease_was_lost_is_refused() -> Result<()> {
    world::with(world::stack().scorers(2), async |world| {
        let gate = Gate::close(&world.database).await?;
        let job = world.hold_one(&gate).await?;
        let zombie = world.scorer_of(job).await?;
        // Its write is sent, and waits for a lock before Postgres has begun to carry it out.
        let barrier = Barrier::before_attempts_are_recorded(&world.database).await?;
        gate.open().await?;
        let session = barrier.until_met_by(zombie.name(), &world.database).await?;
        session.pause().await?;
        zombie.pause().await?;
        barrier.lift().await?;
        let row = world.database.until_job_is(job, "DONE", PATIENCE).await?;
        assert_ne!(row.scorer.as_deref(), Some(zombie.name()));

        session.resume()?;
        zombie.resume()?;
        until("the write is refused", PATIENCE, async || {
            let refused = metric(zombie, "assay_scorer_refused_total").await?;
            Ok(Seen::when(refused >= 1.0, || format!("{refused} writes refused")))
        })
        .await?;
        assert_eq!(world.database.job(job).await?, row);
        assert_eq!(world.database.outcomes_of(job).await?, ["lease_lost", "done"]);
        world.is_in_order(&[job]).await
    })
    .await
}

#[tokio::test]
async fn a_job_that_kills_every_scorer_ends_in_error_once_its_attempts_are_spent() -> Result<()> {
    world::with(world::stack().scorers(2), async |world| {
        let gate = Gate::close(&world.database).await?;
        let submission = world.api.submit(&sources::python(1)).await?;
        let spec = json!({ "submissionId": submission, "rubric": gate.rubric(), "retries": 1 });
        let job = world.create("ScoringJob", "killer", spec).await?.uid()?;
        world.database.until_accepted(job).await?;
        for attempt in 1..=2 {
            let running = |row: &e2e::Row| row.status == "RUNNING" && row.attempt == attempt;
            world.database.until_job(job, &format!("runs, attempt {attempt}"), PATIENCE, running).await?;
            world.scorer_of(job).await?.kill9().await?;
        }
        let innocent = world.stack.scorers.first().context("a scorer")?;
        innocent.start().await?;

        let row = world.database.until_job_is(job, "ERROR", PATIENCE).await?;
        assert_eq!((row.error_code.as_deref(), row.attempt, row.score), (Some("lease_lost"), 2, None));
        assert_eq!(world.database.outcomes_of(job).await?, ["lease_lost", "lease_lost"]);
        world.kubectl_wait("sj/killer", "condition=Failed").await?;
        let resource = world.resource("sj/killer").await?;
        let failed = resource.condition("Failed").context("the condition Failed")?;
        assert_eq!(failed["reason"], "LeaseLost");
        gate.open().await?;
        world.is_in_order(&[job]).await
    })
    .await
}

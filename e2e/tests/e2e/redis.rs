//! Redis emptied, and away.

use std::time::Duration;

use anyhow::Result;
use e2e::world::{self, PATIENCE, metric};
use e2e::{Gate, Seen, World, sources, until};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use uuid::Uuid;

async fn post(world: &World, numbers: std::ops::Range<usize>, rubric: &str) -> Result<Vec<Uuid>> {
    stream::iter(numbers)
        .map(|number| async move { world.api.submit_and_score(&sources::python(number), rubric).await })
        .buffered(16)
        .try_collect()
        .await
}

#[tokio::test]
async fn emptying_redis_loses_no_queued_delayed_or_running_job() -> Result<()> {
    world::with(world::stack().scorer_env("ASSAY_CONCURRENCY", "2"), async |world| {
        let gate = Gate::close(&world.database).await?;
        let mut jobs = post(world, 0..2, gate.rubric()).await?;
        for job in &jobs {
            world.database.until_job_is(*job, "RUNNING", PATIENCE).await?;
        }
        jobs.extend(post(world, 2..12, "quick").await?);
        let later = world.database.in_a_while(Duration::from_secs(8)).await?;
        for number in 12..17 {
            let submission = world.api.submit(&sources::python(number)).await?;
            let request = json!({ "submissionId": submission, "rubric": "quick", "notBefore": later });
            jobs.push(world.api.ask(&request).await?.job()?);
        }
        world.until_queue_holds(10, 5, 2).await?;

        world.stack.own_redis()?.flush_all().await?;
        // All are back, the running ones under their leases, so nothing is claimed that is held.
        world.until_queue_holds(10, 5, 2).await?;
        gate.open().await?;
        world.database.until_done(jobs.len(), PATIENCE).await?;
        world.no_attempt_was_spent_in_vain().await?;
        assert_eq!(world.database.attempts().await?.len(), jobs.len());
        world.is_in_order(&jobs).await
    })
    .await
}

#[tokio::test]
async fn emptying_redis_again_and_again_under_load_loses_nothing() -> Result<()> {
    world::with(world::stack().scorers(2), async |world| {
        let jobs = post(world, 0..400, "default").await?;
        let operator = &world.stack.operators[0];
        for _ in 0..5 {
            let before = metric(operator, "assay_operator_rebuilds_total").await?;
            world.stack.own_redis()?.flush_all().await?;
            until("the operator has rebuilt the queue", PATIENCE, async || {
                let after = metric(operator, "assay_operator_rebuilds_total").await?;
                Ok(Seen::when(after > before, || format!("{after} rebuilds, as before")))
            })
            .await?;
        }
        world.database.until_done(jobs.len(), PATIENCE).await?;
        world.no_attempt_was_spent_in_vain().await?;
        world.is_in_order(&jobs).await
    })
    .await
}

#[tokio::test]
async fn without_redis_jobs_are_accepted_and_running_ones_are_finished() -> Result<()> {
    world::with(world::stack(), async |world| {
        let gate = Gate::close(&world.database).await?;
        let mut jobs = post(world, 0..1, gate.rubric()).await?;
        world.database.until_job_is(jobs[0], "RUNNING", PATIENCE).await?;
        world.stack.own_redis()?.stop().await?;

        jobs.extend(post(world, 1..21, "quick").await?);
        gate.open().await?;
        world.database.until_job_is(jobs[0], "DONE", PATIENCE).await?;
        world.stack.own_redis()?.start_again().await?;
        world.database.until_done(jobs.len(), PATIENCE).await?;
        world.no_attempt_was_spent_in_vain().await?;
        assert_eq!(world.database.attempts().await?.len(), jobs.len());
        world.is_in_order(&jobs).await
    })
    .await
}

//! SIGTERM.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::world::{self, PATIENCE};
use e2e::{Gate, sources};
use futures::future::join_all;
use uuid::Uuid;

/// How long anything may take to stop here.
const STOP: Duration = Duration::from_secs(20);

#[tokio::test]
async fn stopping_everything_under_load_loses_nothing() -> Result<()> {
    world::with(world::stack(), async |world| {
        let mut submissions = Vec::new();
        for number in 0..400 {
            submissions.push(world.api.submit(&sources::python(number)).await?);
        }
        let (some, rest) = submissions.split_at(100);
        let mut jobs = Vec::new();
        for submission in some {
            jobs.push(world.api.score(*submission, "default").await?);
        }
        // What a gateway that stops has answered with 202 is kept; what it does not answer a client asks again.
        let posting = join_all(rest.iter().map(|submission| world.api.score(*submission, "default")));
        let stopping = world.stack.terminate_services(STOP);
        let (answers, stopped) = tokio::join!(posting, stopping);
        stopped?;
        jobs.extend(answers.into_iter().filter_map(Result::ok));
        assert_eq!(world.leader().await?, None, "the Lease was not handed back");
        let rows = world.database.jobs().await?;
        let running: Vec<&e2e::Row> = rows.iter().filter(|row| row.status == "RUNNING").collect();
        ensure!(running.is_empty(), "left behind by the scorer: {running:?}");

        for service in world.stack.services() {
            service.start().await?;
        }
        world.database.until_done(rows.len(), PATIENCE).await?;
        world.no_attempt_was_spent_in_vain().await?;
        world.is_in_order(&jobs).await
    })
    .await
}

#[tokio::test]
async fn a_scorer_that_stops_hands_back_what_it_cannot_finish() -> Result<()> {
    let stack = world::stack()
        .scorers(2)
        .scorer_env("ASSAY_CONCURRENCY", "3")
        .scorer_env("ASSAY_MAX_TIMEOUT", "1s")
        .scorer_env("ASSAY_GRACE", "1s")
        .scorer_env("ASSAY_LEASE", "30s");
    world::with(stack, async |world| {
        let gate = Gate::close(&world.database).await?;
        let job: Uuid = world.api.submit_and_score(&sources::python(1), gate.rubric()).await?;
        world.database.until_job_is(job, "RUNNING", PATIENCE).await?;
        let stopped = world.scorer_of(job).await?;
        stopped.terminate(STOP).await?;
        let taken = |row: &e2e::Row| row.scorer.as_deref() != Some(stopped.name());
        // At once: the lease would have lasted for 30 s.
        world.database.until_job(job, "is taken up", Duration::from_secs(5), taken).await?;
        gate.open().await?;
        let row = world.database.until_job_is(job, "DONE", PATIENCE).await?;
        assert_eq!(row.attempt, 1, "a hand-back spends no attempt");
        assert_eq!(world.database.outcomes_of(job).await?, ["released", "done"]);
        world.is_in_order(&[job]).await
    })
    .await
}

//! Operators that die, and what they find when they come back.

use anyhow::{Context, Result};
use e2e::world::{self, PATIENCE, metric};
use e2e::{Gate, Seen, sources, until};

#[tokio::test]
async fn a_standby_takes_over_from_a_killed_leader() -> Result<()> {
    world::with(world::stack().operators(2), async |world| {
        let leader = world.until_led().await?;
        let gate = Gate::close(&world.database).await?;
        let before = world.api.submit_and_score(&sources::python(1), gate.rubric()).await?;
        world.kubectl_wait(&format!("sj/{before}"), "jsonpath={.status.phase}=RUNNING").await?;
        let queued = world.api.submit_and_score(&sources::python(2), "quick").await?;
        world.stack.operators[leader].kill9().await?;

        // Jobs go on without a leader, also those that come now.
        gate.open().await?;
        let meanwhile = world.api.submit_and_score(&sources::python(3), "quick").await?;
        for job in [before, queued, meanwhile] {
            world.database.until_job_is(job, "DONE", PATIENCE).await?;
        }
        assert_eq!(world.until_led().await?, 1 - leader);
        world.kubectl_wait(&format!("sj/{before}"), "condition=Complete").await?;
        let after = world.api.submit_and_score(&sources::python(4), "default").await?;
        world.database.until_job_is(after, "DONE", PATIENCE).await?;
        world.no_attempt_was_spent_in_vain().await?;
        world.is_in_order(&[before, queued, meanwhile, after]).await
    })
    .await
}

#[tokio::test]
async fn a_scoring_job_deleted_while_no_operator_runs_is_cancelled() -> Result<()> {
    world::with(world::stack().scorer_env("ASSAY_CONCURRENCY", "1"), async |world| {
        let gate = Gate::close(&world.database).await?;
        let running = world.api.submit_and_score(&sources::python(1), gate.rubric()).await?;
        world.database.until_job_is(running, "RUNNING", PATIENCE).await?;
        let waiting = world.api.submit_and_score(&sources::python(2), gate.rubric()).await?;
        let kept = world.api.submit_and_score(&sources::python(3), "quick").await?;
        for job in [running, waiting, kept] {
            until("its status is written", PATIENCE, async || {
                let resources = world.resources("scoringjobs").await?;
                let found = resources.iter().find(|resource| resource.name() == job.to_string());
                let phase = found.map(|resource| resource.phase().to_owned()).unwrap_or_default();
                Ok(Seen::when(!phase.is_empty(), || format!("{resources:?}")))
            })
            .await?;
        }
        let operator = &world.stack.operators[0];
        operator.kill9().await?;
        for job in [running, waiting] {
            world.stack.kubectl(&["delete", &format!("sj/{job}")]).await?;
        }
        assert_eq!(world.database.job(running).await?.status, "RUNNING", "nobody knows yet");
        operator.start().await?;

        for job in [running, waiting] {
            let row = world.database.until_job_is(job, "ERROR", PATIENCE).await?;
            assert_eq!(row.error_code.as_deref(), Some("cancelled"));
        }
        // The only slot of the only scorer is free again: the gate still holds what it worked on.
        let scorer = world.stack.scorers.first().context("a scorer")?;
        until("the scorer has stopped the running one", PATIENCE, async || {
            let stopped = metric(scorer, "assay_scorer_stopped_total").await?;
            Ok(Seen::when(stopped >= 1.0, || format!("{stopped} jobs stopped")))
        })
        .await?;
        gate.open().await?;
        world.database.until_job_is(kept, "DONE", PATIENCE).await?;
        assert_eq!(world.database.outcomes_of(running).await?, ["cancelled"]);
        assert!(world.database.outcomes_of(waiting).await?.is_empty());
        world.is_in_order(&[running, waiting, kept]).await
    })
    .await
}

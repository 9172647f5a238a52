//! The API server away.

use anyhow::Result;
use e2e::world::{self, PATIENCE};
use e2e::{Gate, sources};
use testkit::{ControlPlane, ControlPlaneOptions, Place, StackBuilder, TempFolder};

/// A stack with a control plane of its own, which has to live as long.
async fn stack() -> Result<(StackBuilder, ControlPlane, TempFolder)> {
    let folder = TempFolder::new()?;
    let cluster = ControlPlane::start(&Place::owned(folder.path()), &ControlPlaneOptions::default()).await?;
    Ok((world::stack().kubernetes(Some(cluster.kubernetes())), cluster, folder))
}

#[tokio::test]
async fn without_the_api_server_jobs_are_accepted_and_scored() -> Result<()> {
    let (stack, cluster, _folder) = stack().await?;
    world::with(stack, async |world| {
        let gate = Gate::close(&world.database).await?;
        let held = world.api.submit_and_score(&sources::python(1), gate.rubric()).await?;
        world.kubectl_wait(&format!("sj/{held}"), "jsonpath={.status.phase}=RUNNING").await?;
        cluster.stop_apiserver().await?;

        gate.open().await?;
        world.database.until_job_is(held, "DONE", PATIENCE).await?;
        let mut jobs = vec![held];
        for number in 2..12 {
            jobs.push(world.api.submit_and_score(&sources::python(number), "quick").await?);
        }
        world.database.until_done(jobs.len(), PATIENCE).await?;
        let gate = Gate::close(&world.database).await?;
        let running = world.api.submit_and_score(&sources::python(12), gate.rubric()).await?;
        world.database.until_job_is(running, "RUNNING", PATIENCE).await?;
        jobs.push(running);

        cluster.start_apiserver().await?;
        world.kubectl_wait(&format!("sj/{held}"), "condition=Complete").await?;
        world.kubectl_wait(&format!("sj/{running}"), "jsonpath={.status.phase}=RUNNING").await?;
        gate.open().await?;
        world.database.until_done(jobs.len(), PATIENCE).await?;
        world.no_attempt_was_spent_in_vain().await?;
        world.is_in_order(&jobs).await?;
        assert_eq!(world.resources("scoringjobs").await?.len(), 2, "what ended meanwhile needs no resource");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_operator_that_starts_without_the_api_server_queues_from_postgres() -> Result<()> {
    let (stack, cluster, _folder) = stack().await?;
    world::with(stack, async |world| {
        let operator = &world.stack.operators[0];
        operator.kill9().await?;
        cluster.stop_apiserver().await?;
        let early = world.api.submit_and_score(&sources::python(1), "quick").await?;
        operator.start().await?;
        world.database.until_job_is(early, "DONE", PATIENCE).await?;

        cluster.start_apiserver().await?;
        let late = world.api.submit_and_score(&sources::python(2), "quick").await?;
        world.database.until_job_is(late, "DONE", PATIENCE).await?;
        world.is_in_order(&[early, late]).await
    })
    .await
}

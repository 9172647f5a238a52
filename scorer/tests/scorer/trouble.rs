//! What goes wrong with one job.

use anyhow::Result;
use domain::{JobId, JobStatus};
use sqlx::AssertSqlSafe;

use crate::fixture::World;

/// Makes Postgres fail, in a way that no program foresees, when the job is to become so.
async fn choke_on(world: &World, job: JobId, status: JobStatus) -> Result<()> {
    let function = format!("choke_{}", job.simple());
    let sql = format!(
        "CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS \
           'BEGIN RAISE EXCEPTION USING ERRCODE = ''XX000'', MESSAGE = ''choked''; END'; \
         CREATE TRIGGER {function} BEFORE UPDATE ON scoring_jobs \
           FOR EACH ROW WHEN (NEW.id = '{job}' AND NEW.status = '{status}') EXECUTE FUNCTION {function}();"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&world.sql).await?;
    Ok(())
}

#[tokio::test]
async fn a_job_that_postgres_chokes_on_does_not_hold_up_the_others() -> Result<()> {
    let world = World::new().await?;
    let mut jobs = Vec::new();
    for _ in 0..5 {
        jobs.push(world.accepted().await?);
    }
    choke_on(&world, jobs[0], JobStatus::Running).await?;
    choke_on(&world, jobs[1], JobStatus::Done).await?;
    world.enqueue(&world.store.active_of(&jobs).await?).await?;
    let scorer = world.scorer().await?;
    for job in &jobs[2..] {
        world.until_row(*job, "done", |row| row.status == JobStatus::Done).await?;
    }
    assert_eq!(world.row(jobs[0]).await?.status, JobStatus::Queued);
    world.until_row(jobs[1], "running", |row| row.status == JobStatus::Running).await?;

    // Its result was kept, and the start was tried again and again.
    sqlx::query("ALTER TABLE scoring_jobs DISABLE TRIGGER USER").execute(&world.sql).await?;
    for job in &jobs[..2] {
        let row = world.until_row(*job, "done", |row| row.status == JobStatus::Done).await?;
        assert_eq!(row.attempt, 1);
    }
    scorer.stop().await
}

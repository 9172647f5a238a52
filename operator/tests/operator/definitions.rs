//! Resources that are missing although nobody deleted them. What takes definitions away has a cluster of its own.

use anyhow::{Context, Result, ensure};
use domain::{ErrorCode, JobStatus};
use kube::api::DeleteParams;
use resources::{Phase, ScoringBatch, ScoringJob};
use sqlx::{Connection, PgConnection};
use store::{JobRow, Mirror};
use testkit::{ControlPlane, ControlPlaneOptions, Place, TempFolder};
use uuid::Uuid;

use crate::batches::{create_batch, submissions};
use crate::jobs::in_phase;
use crate::world::{World, eventually, uid};

const DEFINITIONS: [&str; 2] = ["scoringjobs.assay.dev", "scoringbatches.assay.dev"];

async fn batches_to_mirror(world: &World) -> Result<Vec<Uuid>> {
    let relay = world.store.begin_relay().await?.context("the turn")?;
    let waiting = relay.unmirrored_batches(10).await?.into_iter().map(|waiting| waiting.batch.id).collect();
    relay.end().await?;
    Ok(waiting)
}

#[tokio::test]
async fn an_emptied_api_server_cancels_nothing() -> Result<()> {
    let folder = TempFolder::new()?;
    let place = Place::owned(folder.path());
    let control_plane = ControlPlane::start(&place, &ControlPlaneOptions::default()).await?;
    let cluster = control_plane.kubernetes();
    cluster.apply_definitions().await?;
    let world = World::on(&cluster).await?;
    let operator = world.operator("a").await?;
    let submission = world.submission().await?;
    let job = uid(&world.create_job("mine", submission, &world.knobs()).await?)?;
    let batch = uid(&create_batch(&world, "exam", submissions(&world, 2).await?, &world.knobs()).await?)?;
    world.until("mine", "QUEUED", in_phase(Phase::Queued)).await?;
    let counted = |batch: Option<&ScoringBatch>| {
        batch.and_then(|batch| batch.status.as_ref()).is_some_and(|status| status.queued == Some(2))
    };
    world.until("exam", "counted", counted).await?;

    // Both definitions go, and with them all resources, while the operator watches; then they come back.
    cluster.kubectl(&[&["delete", "crd"], &DEFINITIONS[..]].concat()).await?;
    cluster.apply_definitions().await?;

    let forgotten = |row: &JobRow| row.mirror == Mirror::None;
    let row = world.until_row(job, "to be mirrored anew", forgotten).await?;
    assert_eq!(row.status, JobStatus::Queued);
    let is_to_mirror = |waiting: &Vec<Uuid>| *waiting == [batch];
    eventually("the batch is to be mirrored anew", async || batches_to_mirror(&world).await, is_to_mirror)
        .await?;
    let counts = world.store.batch(batch).await?.context("the batch")?.counts;
    assert_eq!((counts.queued, counts.error), (2, 0));

    // As the gateway does with what is to be mirrored.
    let anew = world.create_job_as_gateway(job, submission).await?;
    let bound = uid(&anew)?;
    let is_bound = |row: &JobRow| matches!(&row.mirror, Mirror::Job { uid, .. } if *uid == Some(bound));
    world.until_row(job, "bound to its new resource", is_bound).await?;
    world.until(&job.to_string(), "QUEUED", in_phase(Phase::Queued)).await?;

    // Under the new definition a deletion is a deletion again.
    world.api::<ScoringJob>().delete(&job.to_string(), &DeleteParams::default()).await?;
    let cancelled = |row: &JobRow| row.error_code == Some(ErrorCode::CANCELLED);
    world.until_row(job, "cancelled", cancelled).await?;
    operator.stop().await
}

/// What docs/operations.md has people do when they restore the database to an earlier time.
#[tokio::test]
async fn a_database_restored_to_before_a_resource_went_cancels_nothing_once_it_forgets_its_resources()
-> Result<()> {
    let world = World::new().await?;
    let operator = world.operator("a").await?;
    let job = uid(&world.create_job("mine", world.submission().await?, &world.knobs()).await?)?;
    world.until("mine", "QUEUED", in_phase(Phase::Queued)).await?;
    operator.stop().await?;

    // The record is as it was while the job waited; the resource has gone since.
    world.api::<ScoringJob>().delete("mine", &DeleteParams::default()).await?;
    let mut sql = PgConnection::connect(&world.database_url).await?;
    let forgetting = "UPDATE resource_definitions SET uid = gen_random_uuid()";
    let documents = include_str!("../../../docs/operations.md");
    ensure!(documents.contains(forgetting), "docs/operations.md says something else");
    let noted = sqlx::query(forgetting).execute(&mut sql).await?.rows_affected();
    ensure!(noted > 0, "no definition was on record");

    let operator = world.operator("b").await?;
    let forgotten = |row: &JobRow| row.mirror == Mirror::None;
    let row = world.until_row(job, "to be mirrored anew", forgotten).await?;
    assert_eq!(row.status, JobStatus::Queued);
    operator.stop().await
}

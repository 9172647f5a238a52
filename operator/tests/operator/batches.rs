use anyhow::{Context, Result};
use domain::{Epoch, ErrorCode, Knobs};
use kube::api::DeleteParams;
use resources::{COMPLETE, FAILED, KnobsSpec, ScoringBatch, ScoringBatchSpec, ScoringJob};
use store::{BatchOrigin, Ending, FinishRequest, NewBatch, StartRequest};
use uuid::Uuid;

use crate::world::{World, uid};

async fn submissions(world: &World, count: usize) -> Result<Vec<Uuid>> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(world.submission().await?);
    }
    Ok(ids)
}

async fn create(world: &World, name: &str, ids: Vec<Uuid>, knobs: &Knobs) -> Result<ScoringBatch> {
    let spec = ScoringBatchSpec { submission_ids: ids, knobs: KnobsSpec::from(knobs) };
    world.create(&ScoringBatch::new(name, spec)).await
}

fn is_true(kind: &'static str) -> impl Fn(Option<&ScoringBatch>) -> bool {
    move |batch: Option<&ScoringBatch>| {
        let status = batch.and_then(|batch| batch.status.as_ref());
        status.is_some_and(|status| {
            status.conditions.iter().any(|condition| condition.type_ == kind && condition.status == "True")
        })
    }
}

async fn score_all(world: &World, score: f64) -> Result<()> {
    for claim in world.queue.claim(&world.pool, 1000).await?.claims {
        let scorer = "scorer-1".to_owned();
        world
            .store
            .start(&[StartRequest { job: claim.job, epoch: claim.epoch, expired: Epoch::NONE, scorer }])
            .await?;
        let ending = Ending::Done { score, feedback: "fine".to_owned(), result: "{}".to_owned() };
        world.store.finish(&[FinishRequest { job: claim.job, epoch: claim.epoch, ending }]).await?;
        world.queue.finish(&world.pool, &[claim]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_batch_made_with_kubectl_is_scored_and_counted() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator("a").await?;
    let mut ids = submissions(&world, 5).await?;
    ids.push(Uuid::new_v4());
    create(&world, "exam", ids, &world.knobs()).await?;
    world.until_ready(5).await?;
    score_all(&world, 60.0).await?;
    let shown = world.until("exam", "complete", is_true(COMPLETE)).await?.context("is there")?;
    let status = shown.status.context("a status")?;
    assert_eq!((status.total, status.done, status.rejected), (Some(6), Some(5), Some(1)));
    assert_eq!(status.mean_score, Some(60.0));
    assert_eq!(status.first_failures[0].code, "unknown_submission");
    operator.stop().await
}

#[tokio::test]
async fn the_gateways_batch_is_bound_and_a_members_own_resource_is_deleted_without_cancelling_it()
-> Result<()> {
    let world = World::new().await?;
    let ids = submissions(&world, 2).await?;
    let batch = NewBatch {
        id: Uuid::now_v7(),
        tenant: None,
        submission_ids: ids.clone(),
        knobs: world.knobs(),
        origin: BatchOrigin::Api,
        traceparent: None,
        resource: None,
    };
    world.store.accept_batch(&batch).await?;
    let member = world.store.unqueued_of_batch(batch.id, 1).await?[0].job;
    let submission = world.store.job(member).await?.context("a row")?.job.submission_id;
    world.create_job(&member.to_string(), submission, &world.knobs()).await?;
    create(&world, &batch.id.to_string(), ids, &world.knobs()).await?;
    let operator = world.operator("a").await?;
    let gone = |job: Option<&ScoringJob>| job.is_none();
    world.until(&member.to_string(), "gone", gone).await?;
    world.until_ready(2).await?;
    score_all(&world, 70.0).await?;
    world.until(&batch.id.to_string(), "complete", is_true(COMPLETE)).await?;
    operator.stop().await
}

#[tokio::test]
async fn deleting_a_batch_cancels_its_members() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator("a").await?;
    create(&world, "exam", submissions(&world, 3).await?, &world.knobs()).await?;
    world.until_ready(3).await?;
    let claim = world.queue.claim(&world.pool, 1).await?.claims[0];
    world.api::<ScoringBatch>().delete("exam", &DeleteParams::default()).await?;
    let cancelled = |row: &store::JobRow| row.error_code == Some(ErrorCode::CANCELLED);
    world.until_row(claim.job, "cancelled", cancelled).await?;
    world.until_ready(0).await?;
    operator.stop().await
}

#[tokio::test]
async fn a_batch_for_an_unknown_pool_is_rejected() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator("a").await?;
    let elsewhere = Knobs { pool: "elsewhere".parse()?, ..Knobs::default() };
    let made = create(&world, "exam", submissions(&world, 1).await?, &elsewhere).await?;
    let shown = world.until("exam", "rejected", is_true(FAILED)).await?.context("is there")?;
    assert_eq!(shown.status.context("a status")?.conditions[0].reason, "UnknownPool");
    assert!(world.store.batch(uid(&made)?).await?.is_none());
    operator.stop().await
}

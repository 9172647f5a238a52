use anyhow::{Context, Result};
use domain::{Epoch, ErrorCode, Knobs};
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use resources::{COMPLETE, FAILED, KnobsSpec, ScoringBatch, ScoringBatchSpec, ScoringJob};
use serde_json::{from_value, json};
use store::{BatchOrigin, Ending, FinishRequest, NewBatch, StartRequest};
use uuid::Uuid;

use crate::world::{World, as_gateway, eventually, uid};

pub(crate) async fn submissions(world: &World, count: usize) -> Result<Vec<Uuid>> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(world.submission().await?);
    }
    Ok(ids)
}

/// A ScoringBatch with this name, made as a person would.
pub(crate) async fn create_batch(
    world: &World,
    name: &str,
    ids: Vec<Uuid>,
    knobs: &Knobs,
) -> Result<ScoringBatch> {
    let spec = ScoringBatchSpec { submission_ids: ids, knobs: KnobsSpec::from(knobs) };
    world.create(&ScoringBatch::new(name, spec)).await
}

/// The resource of a batch, made as the gateway does.
pub(crate) async fn create_batch_as_gateway(
    world: &World,
    batch: Uuid,
    ids: Vec<Uuid>,
) -> Result<ScoringBatch> {
    let spec = ScoringBatchSpec { submission_ids: ids, knobs: KnobsSpec::from(&world.knobs()) };
    world.create(&as_gateway(ScoringBatch::new(&batch.to_string(), spec))).await
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
    create_batch(&world, "exam", ids, &world.knobs()).await?;
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
async fn each_batch_is_shown_though_more_are_unfinished_than_are_counted_at_once() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator("a").await?;
    let names: Vec<String> = (0..120).map(|at| format!("exam-{at}")).collect();
    for (name, id) in names.iter().zip(submissions(&world, names.len()).await?) {
        create_batch(&world, name, vec![id], &world.knobs()).await?;
    }
    let queued = |batch: Option<&ScoringBatch>| {
        batch.and_then(|batch| batch.status.as_ref()).is_some_and(|status| status.queued == Some(1))
    };
    for name in &names {
        world.until(name, "shown", queued).await?;
    }
    score_all(&world, 60.0).await?;
    for name in &names {
        world.until(name, "complete", is_true(COMPLETE)).await?;
    }
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
        owner: None,
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
    create_batch(&world, &batch.id.to_string(), ids, &world.knobs()).await?;
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
    create_batch(&world, "exam", submissions(&world, 3).await?, &world.knobs()).await?;
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
    let made = create_batch(&world, "exam", submissions(&world, 1).await?, &elsewhere).await?;
    let shown = world.until("exam", "rejected", is_true(FAILED)).await?.context("is there")?;
    assert_eq!(shown.status.context("a status")?.conditions[0].reason, "UnknownPool");
    assert!(world.store.batch(uid(&made)?).await?.is_none());
    operator.stop().await
}

/// Lets nobody delete the resource of this name. Returns the API with which that can be ended, and its name there.
async fn keep(world: &World, name: &str) -> Result<(Api<ValidatingAdmissionPolicyBinding>, String)> {
    let rule = format!("keep-{}", world.namespace);
    let policy: ValidatingAdmissionPolicy = from_value(json!({
        "metadata": { "name": rule },
        "spec": {
            "matchConstraints": {
                "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": world.namespace } },
                "resourceRules": [{
                    "apiGroups": ["assay.dev"], "apiVersions": ["*"], "operations": ["DELETE"],
                    "resources": ["scoringbatches"],
                }],
            },
            "validations": [{ "expression": format!("oldObject.metadata.name != '{name}'") }],
        },
    }))?;
    let binding: ValidatingAdmissionPolicyBinding = from_value(json!({
        "metadata": { "name": rule },
        "spec": { "policyName": rule, "validationActions": ["Deny"] },
    }))?;
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(world.client.clone());
    let bindings = Api::all(world.client.clone());
    policies.create(&PostParams::default(), &policy).await?;
    bindings.create(&PostParams::default(), &binding).await?;
    let dry_run = DeleteParams { dry_run: true, ..DeleteParams::default() };
    let is_refused = async || Ok(world.api::<ScoringBatch>().delete(name, &dry_run).await.is_err());
    eventually("nobody can delete it", is_refused, |refused| *refused).await?;
    Ok((bindings, rule))
}

#[tokio::test]
async fn a_batch_that_cannot_be_deleted_does_not_stop_cancellation() -> Result<()> {
    let world = World::new().await?;
    let knobs = Knobs { ttl_seconds: 0, ..world.knobs() };
    create_batch(&world, "stuck", submissions(&world, 1).await?, &knobs).await?;
    let (bindings, rule) = keep(&world, "stuck").await?;
    let operator = world.operator("a").await?;
    world.until_ready(1).await?;
    score_all(&world, 60.0).await?;
    world.until("stuck", "complete", is_true(COMPLETE)).await?;
    create_batch(&world, "exam", submissions(&world, 1).await?, &world.knobs()).await?;
    world.until_ready(1).await?;
    let claim = world.queue.claim(&world.pool, 1).await?.claims[0];
    world.api::<ScoringBatch>().delete("exam", &DeleteParams::default()).await?;
    let cancelled = |row: &store::JobRow| row.error_code == Some(ErrorCode::CANCELLED);
    world.until_row(claim.job, "cancelled", cancelled).await?;
    world.api::<ScoringBatch>().get("stuck").await.context("it is kept")?;
    bindings.delete(&rule, &DeleteParams::default()).await?;
    world.until("stuck", "gone", |batch: Option<&ScoringBatch>| batch.is_none()).await?;
    operator.stop().await
}

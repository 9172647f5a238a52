//! What becomes of resources that are not what they should be.

use anyhow::{Context, Result, bail};
use domain::{JobStatus, Knobs};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, CustomResourceExt};
use resources::{FAILED, Phase, ScoringBatch, ScoringJob};
use serde_json::{Value, json};
use sqlx::{Executor, PgPool, Row};
use store::{BatchOrigin, JobRow, Mirror, NewBatch};
use uuid::Uuid;

use crate::batches::{create_batch_as_gateway, submissions};
use crate::jobs::{condition, in_phase};
use crate::world::{World, eventually, uid};

/// Creates whatever the API server lets pass.
async fn create_raw(world: &World, definition: ApiResource, name: &str, spec: Value) -> kube::Result<Raw> {
    let object = DynamicObject::new(name, &definition).data(json!({ "spec": spec }));
    let api = Api::namespaced_with(world.client.clone(), &world.namespace, &definition);
    api.create(&PostParams::default(), &object).await?;
    Ok(Raw { api, name: name.to_owned() })
}

struct Raw {
    api: Api<DynamicObject>,
    name: String,
}

impl Raw {
    /// Waits until its condition `Failed` is true, and returns the reason.
    async fn until_failed(&self) -> Result<String> {
        let read = async || {
            let object = self.api.get(&self.name).await?;
            let conditions = object.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let failed = conditions.iter().find(|c| c["type"] == FAILED && c["status"] == "True");
            Ok(failed.and_then(|failed| failed["reason"].as_str()).map(str::to_owned))
        };
        eventually("it failed", read, Option::is_some).await?.context("a reason")
    }
}

/// The last moment that people think of. No clock here goes that far.
const NEVER: &str = "9999-12-31T23:59:59Z";

#[tokio::test]
async fn an_unreadable_resource_does_not_stop_the_watch() -> Result<()> {
    let world = World::new().await?;
    let spec = json!({ "submissionId": Uuid::now_v7(), "pool": world.pool, "notBefore": NEVER });
    let job = create_raw(&world, ScoringJob::api_resource(), "never", spec).await?;
    let spec = json!({ "submissionIds": [Uuid::now_v7()], "pool": world.pool, "notBefore": NEVER });
    let batch = create_raw(&world, ScoringBatch::api_resource(), "never", spec).await?;
    let operator = world.operator("a").await?;
    assert_eq!(job.until_failed().await?, "InvalidSpec");
    assert_eq!(batch.until_failed().await?, "InvalidSpec");
    world.create_job("mine", world.submission().await?, &world.knobs()).await?;
    world.until("mine", "QUEUED", in_phase(Phase::Queued)).await?;
    operator.stop().await
}

#[tokio::test]
async fn a_damaged_status_is_mended_and_the_job_goes_on() -> Result<()> {
    let world = World::new().await?;
    let made = world.create_job("mine", world.submission().await?, &world.knobs()).await?;
    let operator = world.operator("a").await?;
    world.until("mine", "QUEUED", in_phase(Phase::Queued)).await?;
    let damage = Patch::Merge(json!({ "status": { "startedAt": NEVER } }));
    let api = Api::<DynamicObject>::namespaced_with(
        world.client.clone(),
        &world.namespace,
        &ScoringJob::api_resource(),
    );
    api.patch_status("mine", &PatchParams::default(), &damage).await?;
    let priority = Patch::Merge(json!({ "spec": { "priority": 9 } }));
    api.patch("mine", &PatchParams::default(), &priority).await?;
    // Its spec is not taken up while it cannot be read, so the row is changed as by anything else that changes it.
    let wanted = store::MutableKnobs { priority: 9.try_into()?, suspended: false, ttl_seconds: 3600 };
    world.store.apply_knobs(uid(&made)?, wanted).await?;
    let read = async || Ok(api.get("mine").await?.data["status"].clone());
    let mended = eventually("its status is mended", read, |status| status["startedAt"].is_null()).await?;
    assert_eq!(mended["phase"], "QUEUED");
    operator.stop().await
}

#[tokio::test]
async fn the_api_server_refuses_ids_and_times_that_cannot_be_read() -> Result<()> {
    let world = World::new().await?;
    let good = json!({ "submissionId": Uuid::now_v7(), "notBefore": "2026-01-01T00:00:00.123456789+05:30" });
    create_raw(&world, ScoringJob::api_resource(), "good", good.clone()).await?;
    for (field, value) in [
        ("notBefore", "2026-01-01T00:00:00+99:99"),
        ("notBefore", "2026-01-01T00:00:00.1234567890123Z"),
        ("submissionId", "0198c0000000-7000-8000-000000000001"),
    ] {
        let mut spec = good.clone();
        spec[field] = json!(value);
        match create_raw(&world, ScoringJob::api_resource(), "bad", spec).await {
            Err(kube::Error::Api(status)) if status.reason == "Invalid" => {}
            _ => bail!("{field} may be {value}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_uuid_name_does_not_excuse_an_unknown_pool() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator("a").await?;
    let elsewhere = Knobs { pool: "elsewhere".parse()?, ..Knobs::default() };
    let name = Uuid::now_v7().to_string();
    let made = world.create_job(&name, world.submission().await?, &elsewhere).await?;
    let shown = world.until(&name, "REJECTED", in_phase(Phase::Rejected)).await?.context("is there")?;
    assert_eq!(condition(&shown, FAILED).context("a condition")?.reason, "UnknownPool");
    assert!(world.store.job(uid(&made)?).await?.is_none());
    operator.stop().await
}

#[tokio::test]
async fn a_rejection_that_met_a_conflict_is_written_all_the_same() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator("a").await?;
    let by_hand = PgPool::connect(&world.database_url).await?;
    let mut lock = by_hand.begin().await?;
    lock.execute("LOCK TABLE submissions IN ACCESS EXCLUSIVE MODE").await?;
    world.create_job("mine", Uuid::new_v4(), &world.knobs()).await?;
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'submissions'::regclass";
    let waiting = async || Ok(by_hand.fetch_one(waits).await?.get::<i64, _>(0));
    eventually("the request is looked at", waiting, |waiting| *waiting > 0).await?;
    // The operator decides about the resource as it was before this.
    let patch = Patch::Merge(json!({ "metadata": { "labels": { "changed": "meanwhile" } } }));
    world.api::<ScoringJob>().patch("mine", &PatchParams::default(), &patch).await?;
    lock.rollback().await?;
    world.until("mine", "REJECTED", in_phase(Phase::Rejected)).await?;
    operator.stop().await
}

#[tokio::test]
async fn a_late_duplicate_of_a_gateways_resource_is_deleted() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator("a").await?;
    let submission = world.submission().await?;
    let job = world.accepted_job(submission).await?;
    world.create_job_as_gateway(job, submission).await?;
    world.until(&job.to_string(), "QUEUED", in_phase(Phase::Queued)).await?;
    world.api::<ScoringJob>().delete(&job.to_string(), &DeleteParams::default()).await?;
    let gone = |row: &JobRow| matches!(row.mirror, Mirror::Gone { .. });
    world.until_row(job, "without a resource", gone).await?;

    let late = world.create_job_as_gateway(job, submission).await?;
    world.until(&job.to_string(), "gone", |job: Option<&ScoringJob>| job.is_none()).await?;
    assert!(world.store.job(uid(&late)?).await?.is_none(), "no second job was made");
    operator.stop().await
}

#[tokio::test]
async fn a_late_duplicate_of_a_gateways_batch_is_deleted() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator("a").await?;
    let ids = submissions(&world, 1).await?;
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
    create_batch_as_gateway(&world, batch.id, ids.clone()).await?;
    let name = batch.id.to_string();
    let shown = |batch: Option<&ScoringBatch>| batch.is_some_and(|batch| batch.status.is_some());
    world.until(&name, "shown", shown).await?;
    world.api::<ScoringBatch>().delete(&name, &DeleteParams::default()).await?;
    world.until_row(member, "cancelled", |row| row.status == JobStatus::Error).await?;

    let late = create_batch_as_gateway(&world, batch.id, ids).await?;
    world.until(&name, "gone", |batch: Option<&ScoringBatch>| batch.is_none()).await?;
    assert!(world.store.batch(uid(&late)?).await?.is_none(), "no second batch was made");
    operator.stop().await
}

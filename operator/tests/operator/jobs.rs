use anyhow::{Context, Result};
use domain::{Claim, Epoch, ErrorCode, JobStatus, Knobs, Priority};
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::runtime::conditions::is_deleted;
use resources::{COMPLETE, FAILED, Phase, ScoringJob};
use serde_json::json;
use store::{Ending, FinishRequest, Mirror, NewJob, ResourceRef, Scope, StartRequest};
use uuid::Uuid;

use crate::world::{World, uid};

pub(crate) fn in_phase(phase: Phase) -> impl Fn(Option<&ScoringJob>) -> bool {
    move |job: Option<&ScoringJob>| {
        job.and_then(|job| job.status.as_ref()).and_then(|status| status.phase) == Some(phase)
    }
}

pub(crate) fn condition<'a>(
    job: &'a ScoringJob,
    kind: &str,
) -> Option<&'a k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition> {
    job.status.as_ref()?.conditions.iter().find(|condition| condition.type_ == kind)
}

/// Claims the one job that is ready and starts it, as a scorer would.
pub(crate) async fn start_as(world: &World, scorer: &str) -> Result<Claim> {
    world.until_ready(1).await?;
    let claim = *world.queue.claim(&world.pool, 1).await?.claims.first().context("a claim")?;
    let request =
        StartRequest { job: claim.job, epoch: claim.epoch, expired: Epoch::NONE, scorer: scorer.to_owned() };
    world.store.start(&[request]).await?;
    Ok(claim)
}

pub(crate) async fn finish(world: &World, claim: Claim, ending: Ending) -> Result<()> {
    world.store.finish(&[FinishRequest { job: claim.job, epoch: claim.epoch, ending }]).await?;
    world.queue.finish(&world.pool, &[claim]).await?;
    Ok(())
}

fn done() -> Ending {
    Ending::Done { score: 81.5, feedback: "fine".to_owned(), result: "{}".to_owned() }
}

#[tokio::test]
async fn a_job_made_with_kubectl_is_queued_and_its_status_follows_the_row() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator("a").await?;
    let made = world.create_job("mine", world.submission().await?, &world.knobs()).await?;
    let shown = world.until("mine", "QUEUED", in_phase(Phase::Queued)).await?.context("is there")?;
    assert_eq!(shown.status.context("a status")?.job_id, Some(uid(&made)?));

    let claim = start_as(&world, "scorer-1").await?;
    assert_eq!(claim.job, uid(&made)?);
    let running = world.until("mine", "RUNNING", in_phase(Phase::Running)).await?.context("is there")?;
    assert_eq!(running.status.context("a status")?.worker.as_deref(), Some("scorer-1"));

    finish(&world, claim, done()).await?;
    let shown = world.until("mine", "DONE", in_phase(Phase::Done)).await?.context("is there")?;
    assert_eq!(condition(&shown, COMPLETE).context("a condition")?.status, "True");
    assert_eq!(shown.status.context("a status")?.score, Some(81.5));
    operator.stop().await
}

#[tokio::test]
async fn the_gateways_resource_is_bound_to_the_job_it_is_named_after() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator("a").await?;
    let submission = world.submission().await?;
    let job = world.accepted_job(submission).await?;
    let made = world.create_job(&job.to_string(), submission, &world.knobs()).await?;
    let bound = uid(&made)?;
    let is_bound =
        |row: &store::JobRow| matches!(&row.mirror, Mirror::Job { uid, .. } if *uid == Some(bound));
    world.until_row(job, "bound to its resource", is_bound).await?;
    world.until(&job.to_string(), "QUEUED", in_phase(Phase::Queued)).await?;
    assert!(world.store.job(bound).await?.is_none(), "no second job was made");
    operator.stop().await
}

#[tokio::test]
async fn a_failed_job_is_failed_in_its_conditions() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator("a").await?;
    world.create_job("mine", world.submission().await?, &world.knobs()).await?;
    let claim = start_as(&world, "scorer-1").await?;
    let ending =
        Ending::Permanent { code: ErrorCode::INVALID_CONTENT, message: "nothing to score".to_owned() };
    finish(&world, claim, ending).await?;
    let shown = world.until("mine", "ERROR", in_phase(Phase::Error)).await?.context("is there")?;
    let failed = condition(&shown, FAILED).context("a condition")?;
    assert_eq!((failed.status.as_str(), failed.reason.as_str()), ("True", "InvalidContent"));
    operator.stop().await
}

#[tokio::test]
async fn an_unknown_submission_is_rejected_in_a_condition() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator("a").await?;
    let made = world.create_job("mine", Uuid::new_v4(), &world.knobs()).await?;
    let shown = world.until("mine", "REJECTED", in_phase(Phase::Rejected)).await?.context("is there")?;
    assert_eq!(condition(&shown, FAILED).context("a condition")?.reason, "UnknownSubmission");
    assert!(world.store.job(uid(&made)?).await?.is_none());
    operator.stop().await
}

#[tokio::test]
async fn a_second_job_of_a_submission_is_rejected_and_names_the_first() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator("a").await?;
    let submission = world.submission().await?;
    let first = world.accepted_job(submission).await?;
    world.create_job("second", submission, &world.knobs()).await?;
    let shown = world.until("second", "REJECTED", in_phase(Phase::Rejected)).await?.context("is there")?;
    let failed = condition(&shown, FAILED).context("a condition")?;
    assert_eq!(failed.reason, "ActiveJobExists");
    assert!(failed.message.contains(&first.to_string()), "{}", failed.message);
    operator.stop().await
}

#[tokio::test]
async fn an_unknown_pool_or_rubric_is_rejected() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator("a").await?;
    let elsewhere = Knobs { pool: "elsewhere".parse()?, ..Knobs::default() };
    world.create_job("pool", world.submission().await?, &elsewhere).await?;
    let unknown = Knobs { rubric: "unknown".to_owned(), ..world.knobs() };
    world.create_job("rubric", world.submission().await?, &unknown).await?;
    for (name, reason) in [("pool", "UnknownPool"), ("rubric", "UnknownRubric")] {
        let shown = world.until(name, "REJECTED", in_phase(Phase::Rejected)).await?.context("is there")?;
        assert_eq!(condition(&shown, FAILED).context("a condition")?.reason, reason);
    }
    operator.stop().await
}

#[tokio::test]
async fn only_suspend_priority_and_ttl_can_be_changed() -> Result<()> {
    let world = World::new().await?;
    world.create_job("mine", world.submission().await?, &world.knobs()).await?;
    let patch = async |spec: serde_json::Value| {
        let patch = Patch::Merge(json!({ "spec": spec }));
        world.api::<ScoringJob>().patch("mine", &PatchParams::default(), &patch).await
    };
    for allowed in [json!({"suspend": true}), json!({"priority": 9}), json!({"ttlSecondsAfterFinished": 5})] {
        patch(allowed).await?;
    }
    for fixed in [
        json!({"submissionId": Uuid::new_v4()}),
        json!({"pool": "other"}),
        json!({"rubric": "other"}),
        json!({"retries": 9}),
        json!({"backoffSeconds": 9}),
        json!({"timeoutSeconds": 9}),
        json!({"notBefore": "2030-01-01T00:00:00Z"}),
    ] {
        let refused = patch(fixed.clone()).await.expect_err("is immutable");
        assert!(refused.to_string().contains("only suspend, priority"), "{fixed}: {refused}");
    }
    Ok(())
}

#[tokio::test]
async fn a_held_back_job_leaves_the_queue_and_returns_when_it_is_resumed() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator("a").await?;
    let made = world.create_job("mine", world.submission().await?, &world.knobs()).await?;
    world.until_ready(1).await?;
    let patch = async |suspend: bool| {
        let patch = Patch::Merge(json!({ "spec": { "suspend": suspend } }));
        world.api::<ScoringJob>().patch("mine", &PatchParams::default(), &patch).await
    };
    patch(true).await?;
    world.until_row(uid(&made)?, "held back", |row| row.suspended).await?;
    world.until_ready(0).await?;
    patch(false).await?;
    world.until_ready(1).await?;
    operator.stop().await
}

#[tokio::test]
async fn a_changed_priority_reaches_the_row_and_the_queue() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator("a").await?;
    let first = world.create_job("first", world.submission().await?, &world.knobs()).await?;
    world.until_ready(1).await?;
    let second = world.create_job("second", world.submission().await?, &world.knobs()).await?;
    world.until_ready(2).await?;
    let patch = Patch::Merge(json!({ "spec": { "priority": 9 } }));
    world.api::<ScoringJob>().patch("second", &PatchParams::default(), &patch).await?;
    let highest = |row: &store::JobRow| row.priority == Priority::HIGHEST;
    world.until_row(uid(&second)?, "of the highest priority", highest).await?;
    let urgent = async || {
        // Withdrawn and put back, so that looking does not change anything.
        let claim = world.queue.claim(&world.pool, 1).await?.claims[0];
        let release = queue::Release { claim, delay: std::time::Duration::ZERO, floor: domain::Epoch::NONE };
        world.queue.release(&world.pool, &[release]).await?;
        Ok(claim.job)
    };
    let wanted = uid(&second)?;
    crate::world::eventually("the urgent job is first", urgent, |job| *job == wanted).await?;
    assert_ne!(uid(&first)?, wanted);
    operator.stop().await
}

#[tokio::test]
async fn deleting_a_resource_cancels_its_job() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator("a").await?;
    let made = world.create_job("mine", world.submission().await?, &world.knobs()).await?;
    world.until_ready(1).await?;
    world.api::<ScoringJob>().delete("mine", &DeleteParams::default()).await?;
    let cancelled = |row: &store::JobRow| row.error_code == Some(ErrorCode::CANCELLED);
    let row = world.until_row(uid(&made)?, "cancelled", cancelled).await?;
    assert_eq!(row.status, JobStatus::Error);
    world.until_ready(0).await?;
    operator.stop().await
}

#[tokio::test]
async fn a_resource_deleted_while_no_operator_runs_is_found_at_relist() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator("a").await?;
    let made = world.create_job("mine", world.submission().await?, &world.knobs()).await?;
    world.until("mine", "QUEUED", in_phase(Phase::Queued)).await?;
    operator.stop().await?;
    world.api::<ScoringJob>().delete("mine", &DeleteParams::default()).await?;
    let operator = world.operator("b").await?;
    let cancelled = |row: &store::JobRow| row.error_code == Some(ErrorCode::CANCELLED);
    world.until_row(uid(&made)?, "cancelled", cancelled).await?;
    operator.stop().await
}

#[tokio::test]
async fn a_resource_in_a_namespace_that_is_no_longer_watched_is_not_missed() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator("a").await?;
    let made = world.create_job("mine", world.submission().await?, &world.knobs()).await?;
    world.until("mine", "QUEUED", in_phase(Phase::Queued)).await?;
    operator.stop().await?;
    let reference =
        ResourceRef { namespace: "elsewhere".to_owned(), name: "theirs".to_owned(), uid: Uuid::new_v4() };
    let theirs = NewJob {
        id: reference.uid,
        submission_id: world.submission().await?,
        scope: Scope::All,
        knobs: world.knobs(),
        traceparent: None,
        resource: Some(reference),
    };
    world.store.accept(std::slice::from_ref(&theirs)).await?.remove(0)?;
    world.api::<ScoringJob>().delete("mine", &DeleteParams::default()).await?;
    let operator = world.operator("b").await?;
    let cancelled = |row: &store::JobRow| row.error_code == Some(ErrorCode::CANCELLED);
    world.until_row(uid(&made)?, "cancelled", cancelled).await?;
    // They are compared together.
    assert!(world.store.job(theirs.id).await?.is_some_and(|found| found.job.status.is_active()));
    operator.stop().await
}

#[tokio::test]
async fn an_expired_resource_is_deleted_and_its_row_stays() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator("a").await?;
    let knobs = Knobs { ttl_seconds: 0, ..world.knobs() };
    let made = world.create_job("mine", world.submission().await?, &knobs).await?;
    let claim = start_as(&world, "scorer-1").await?;
    finish(&world, claim, done()).await?;
    let id = uid(&made)?;
    world.until::<ScoringJob>("mine", "gone", is_deleted(&id.to_string())).await?;
    let row =
        world.until_row(id, "without a resource", |row| matches!(row.mirror, Mirror::Gone { .. })).await?;
    assert_eq!((row.status, row.score), (JobStatus::Done, Some(81.5)));
    operator.stop().await
}

#[tokio::test]
async fn how_long_a_resource_stays_can_be_changed_after_its_job_has_ended() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator("a").await?;
    world.create_job("mine", world.submission().await?, &world.knobs()).await?;
    let claim = start_as(&world, "scorer-1").await?;
    finish(&world, claim, done()).await?;
    world.until("mine", "DONE", in_phase(Phase::Done)).await?;
    let patch = Patch::Merge(json!({ "spec": { "ttlSecondsAfterFinished": 0 } }));
    world.api::<ScoringJob>().patch("mine", &PatchParams::default(), &patch).await?;
    world.until::<ScoringJob>("mine", "gone", |job: Option<&ScoringJob>| job.is_none()).await?;
    operator.stop().await
}

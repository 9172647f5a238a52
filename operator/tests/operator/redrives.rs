//! Redriving with `kubectl annotate`.

use anyhow::{Context, Result};
use domain::{ErrorCode, JobStatus};
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt;
use kube::api::ListParams;
use operator::cluster::Kind;
use resources::{Phase, REDRIVE, REDRIVEN_AS, REDRIVEN_MEMBERS, ScoringBatch, ScoringJob};
use store::{CancelRequest, DeadLetterFilter, Ending};
use uuid::Uuid;

use crate::batches::{create_batch, submissions};
use crate::jobs::{finish, in_phase, start_as};
use crate::world::{World, eventually, uid};

/// Asks for a redrive as a person does.
async fn annotate(world: &World, resource: &str) -> Result<()> {
    let wish = format!("{REDRIVE}=true");
    let kubernetes = testkit::kubernetes().await?;
    kubernetes.kubectl(&["annotate", "--namespace", &world.namespace, resource, &wish]).await?;
    Ok(())
}

/// Waits until the wish is answered; what the annotation of this name says then.
async fn answered<K: Kind + Send + Sync + 'static>(
    world: &World,
    name: &str,
    annotation: &str,
) -> Result<Option<String>> {
    let no_wish = |seen: Option<&K>| seen.is_some_and(|seen| !seen.annotations().contains_key(REDRIVE));
    let seen = world.until::<K>(name, "answered", no_wish).await?.context("is there")?;
    Ok(seen.annotations().get(annotation).cloned())
}

/// Waits for an event with this reason on the resource, and returns what it says.
async fn event(world: &World, name: &str, reason: &str) -> Result<String> {
    let about = ListParams::default().fields(&format!("involvedObject.name={name},reason={reason}"));
    let read = async || Ok(world.api::<Event>().list(&about).await?.items.pop());
    let seen = eventually(&format!("an event {reason} on {name}"), read, Option::is_some).await?;
    seen.and_then(|event| event.message).context("a message")
}

/// A ScoringJob of this name whose job has failed: the job.
async fn failed(world: &World, name: &str) -> Result<Uuid> {
    let made = world.create_job(name, world.submission().await?, &world.knobs()).await?;
    let claim = start_as(world, "scorer-1").await?;
    let ending = Ending::Permanent { code: ErrorCode::INTERNAL, message: "out of cheese".to_owned() };
    finish(world, claim, ending).await?;
    world.until(name, "ERROR", in_phase(Phase::Error)).await?;
    uid(&made)
}

#[tokio::test]
async fn an_annotation_redrives_a_failed_job_once_and_names_the_new_one() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator("a").await?;
    let job = failed(&world, "mine").await?;
    annotate(&world, "sj/mine").await?;
    let new: Uuid = answered::<ScoringJob>(&world, "mine", REDRIVEN_AS).await?.context("a job")?.parse()?;
    assert!(event(&world, "mine", "Redriven").await?.contains(&new.to_string()));
    let row = world.store.job(new).await?.context("a row")?.job;
    assert_eq!((row.status, &row.pool), (JobStatus::Queued, &world.pool));
    world.until_ready(1).await?;

    annotate(&world, "sj/mine").await?;
    let again = answered::<ScoringJob>(&world, "mine", REDRIVEN_AS).await?;
    assert_eq!(again, Some(new.to_string()));
    assert!(event(&world, "mine", "RedrivenBefore").await?.contains(&new.to_string()));
    let shown = world.store.dead_letter(job).await?.context("a dead letter")?;
    let redrives: Vec<_> = shown.redrives.iter().map(|r| (r.by.clone(), r.new_job)).collect();
    assert_eq!(redrives, [(format!("kubectl annotate scoringjob/mine in {}", world.namespace), new)]);
    operator.stop().await
}

#[tokio::test]
async fn a_wish_from_while_no_operator_ran_is_answered() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator("a").await?;
    let job = failed(&world, "mine").await?;
    operator.stop().await?;
    annotate(&world, "sj/mine").await?;
    let operator = world.operator("b").await?;
    let new = answered::<ScoringJob>(&world, "mine", REDRIVEN_AS).await?.context("a job")?;
    let shown = world.store.dead_letter(job).await?.context("a dead letter")?;
    assert_eq!(shown.letter.successor.map(|successor| successor.job.to_string()), Some(new));
    operator.stop().await
}

#[tokio::test]
async fn a_job_that_has_not_failed_says_so_and_is_not_redriven_later() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator("a").await?;
    let made = world.create_job("mine", world.submission().await?, &world.knobs()).await?;
    world.until("mine", "QUEUED", in_phase(Phase::Queued)).await?;
    annotate(&world, "sj/mine").await?;
    assert_eq!(answered::<ScoringJob>(&world, "mine", REDRIVEN_AS).await?, None);
    assert!(event(&world, "mine", "NotFailed").await?.ends_with("it is QUEUED"));
    let request = CancelRequest { job: uid(&made)?, by: "ann".to_owned(), reason: "enough".to_owned() };
    world.store.cancel(&[request]).await?;
    world.until("mine", "ERROR", in_phase(Phase::Error)).await?;
    let shown = world.store.dead_letter(uid(&made)?).await?.context("a dead letter")?;
    assert_eq!(shown.letter.successor, None);
    operator.stop().await
}

#[tokio::test]
async fn a_request_that_was_rejected_has_no_job_to_redrive() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator("a").await?;
    world.create_job("mine", Uuid::new_v4(), &world.knobs()).await?;
    world.until("mine", "REJECTED", in_phase(Phase::Rejected)).await?;
    annotate(&world, "sj/mine").await?;
    assert_eq!(answered::<ScoringJob>(&world, "mine", REDRIVEN_AS).await?, None);
    event(&world, "mine", "NoJob").await?;
    operator.stop().await
}

#[tokio::test]
async fn an_annotation_redrives_the_members_of_a_batch_that_failed_but_not_the_cancelled() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator("a").await?;
    let made = create_batch(&world, "exam", submissions(&world, 4).await?, &world.knobs()).await?;
    world.until_ready(4).await?;
    let claims = world.queue.claim(&world.pool, 4).await?.claims;
    for claim in &claims[..2] {
        let (job, epoch, scorer) = (claim.job, claim.epoch, "scorer-1".to_owned());
        let start = store::StartRequest { job, epoch, expired: domain::Epoch::NONE, scorer };
        world.store.start(&[start]).await?;
        let ending = Ending::Permanent { code: ErrorCode::INTERNAL, message: "out of cheese".to_owned() };
        finish(&world, *claim, ending).await?;
    }
    let request = CancelRequest { job: claims[2].job, by: "ann".to_owned(), reason: "enough".to_owned() };
    world.store.cancel(&[request]).await?;

    annotate(&world, "sb/exam").await?;
    let members = answered::<ScoringBatch>(&world, "exam", REDRIVEN_MEMBERS).await?;
    assert_eq!(members.as_deref(), Some("2"));
    let said = event(&world, "exam", "Redriven").await?;
    assert_eq!(said, "2 members were redriven, and others not: 1 cancelled");
    let batch = Some(uid(&made)?);
    let filter = DeadLetterFilter { batch, redriven: Some(true), ..DeadLetterFilter::default() };
    let letters = world.store.dead_letters(&filter, None, 10).await?.letters;
    let mut redriven: Vec<Uuid> = letters.iter().map(|letter| letter.job.id).collect();
    let mut expected = [claims[0].job, claims[1].job];
    redriven.sort_unstable();
    expected.sort_unstable();
    assert_eq!(redriven, expected);

    annotate(&world, "sb/exam").await?;
    let members = answered::<ScoringBatch>(&world, "exam", REDRIVEN_MEMBERS).await?;
    assert_eq!(members.as_deref(), Some("2"));
    event(&world, "exam", "NothingRedriven").await?;
    operator.stop().await
}

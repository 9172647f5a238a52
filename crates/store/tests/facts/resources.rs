//! What resources stand for.

use anyhow::{Context, Result};
use domain::{JobStatus, Knobs};
use store::{BatchBinding, Mirror, MirroredJob, Refusal, Resolved, ResourceRef, ResourceRequest};
use uuid::Uuid;

use crate::batches::{members, new_batch};
use crate::database::{Database, done, finish, resource};

fn request(submission_id: Uuid, resource: ResourceRef) -> ResourceRequest {
    ResourceRequest {
        resource,
        submission_id,
        knobs: Knobs::default(),
        named_job: None,
        made_by_gateway: false,
        acceptable: true,
        traceparent: None,
    }
}

/// The gateway's resource for a job.
async fn mirror_of(database: &Database, job: Uuid) -> Result<ResourceRequest> {
    let submission = database.row(job).await?.submission_id;
    let request = request(submission, resource(&job.to_string()));
    Ok(ResourceRequest { named_job: Some(job), made_by_gateway: true, ..request })
}

async fn resolve(database: &Database, request: &ResourceRequest) -> Result<Resolved> {
    Ok(database.store.resolve(std::slice::from_ref(request)).await?.pop().context("an answer")??)
}

async fn bound(database: &Database, request: &ResourceRequest) -> Result<Uuid> {
    let Resolved::Bound(row) = resolve(database, request).await? else { anyhow::bail!("not bound") };
    let resource = request.resource.clone();
    let mirror = Mirror::Job { namespace: resource.namespace, name: resource.name, uid: Some(resource.uid) };
    assert_eq!(row.mirror, mirror);
    Ok(row.id)
}

#[tokio::test]
async fn a_resource_made_with_kubectl_becomes_a_job_of_its_uid() -> Result<()> {
    let database = Database::fresh().await?;
    let request = request(database.submission().await?, resource("mine"));
    for _ in 0..2 {
        assert_eq!(bound(&database, &request).await?, request.resource.uid);
    }
    assert_eq!(database.number("SELECT count(*) FROM scoring_jobs").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_resource_that_cannot_be_accepted_says_why() -> Result<()> {
    let database = Database::fresh().await?;
    let unknown = request(Uuid::now_v7(), resource("a"));
    let active = database.running(1).await?;
    let busy = request(database.row(active).await?.submission_id, resource("b"));
    let answers = database.store.resolve(&[unknown, busy]).await?;
    assert_eq!(answers[0], Ok(Resolved::Refused(Refusal::UnknownSubmission)));
    assert_eq!(answers[1], Ok(Resolved::Existing { id: active, status: JobStatus::Running }));
    Ok(())
}

#[tokio::test]
async fn the_gateways_resource_is_bound_to_the_job_it_is_named_after() -> Result<()> {
    let database = Database::fresh().await?;
    let seen_first = database.queued().await?;
    let noted_first = database.queued().await?;
    let relay = database.store.begin_relay().await?.context("the turn")?;
    relay.mark_mirrored(&[MirroredJob { job: noted_first, uid: None }], "team-a").await?;
    for job in [seen_first, noted_first] {
        let request = mirror_of(&database, job).await?;
        for _ in 0..2 {
            assert_eq!(bound(&database, &request).await?, job);
        }
        relay.mark_mirrored(&[MirroredJob { job, uid: Some(Uuid::new_v4()) }], "assay").await?;
        assert_eq!(bound(&database, &request).await?, job, "noting it later changes nothing");
    }
    Ok(())
}

#[tokio::test]
async fn a_resource_whose_maker_died_before_noting_it_is_bound_though_the_job_has_ended() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.done().await?;
    let request = mirror_of(&database, job).await?;
    assert_eq!(bound(&database, &request).await?, job);
    assert_eq!(database.store.changed(None, 10).await?[0].id, job);
    Ok(())
}

#[tokio::test]
async fn a_resource_of_a_job_counted_in_a_batch_is_a_duplicate() -> Result<()> {
    let database = Database::fresh().await?;
    let batch = new_batch(database.submissions(1).await?);
    database.store.accept_batch(&batch).await?;
    let job = members(&database, batch.id).await?[0];
    let request = mirror_of(&database, job).await?;
    assert_eq!(resolve(&database, &request).await?, Resolved::Duplicate { job });
    assert_eq!(database.row(job).await?.status, JobStatus::Queued);
    Ok(())
}

#[tokio::test]
async fn a_second_resource_of_the_same_name_is_a_request_of_its_own() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.running(1).await?;
    let first = mirror_of(&database, job).await?;
    assert_eq!(bound(&database, &first).await?, job);
    let by_a_person = |request| ResourceRequest { made_by_gateway: false, ..request };
    let again = by_a_person(mirror_of(&database, job).await?);
    let existing = Resolved::Existing { id: job, status: JobStatus::Running };
    assert_eq!(resolve(&database, &again).await?, existing, "while the first is there");
    database.store.finish(&[finish(job, 1, done())]).await?;
    database.store.resource_gone(&[first.resource.uid]).await?;
    assert_eq!(bound(&database, &again).await?, again.resource.uid);
    Ok(())
}

#[tokio::test]
async fn a_late_duplicate_of_a_gateways_resource_is_not_a_new_request() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.running(1).await?;
    let first = mirror_of(&database, job).await?;
    assert_eq!(bound(&database, &first).await?, job);
    let late = mirror_of(&database, job).await?;
    assert_eq!(resolve(&database, &late).await?, Resolved::Duplicate { job }, "while the first is there");
    database.store.finish(&[finish(job, 1, done())]).await?;
    database.store.resource_gone(&[first.resource.uid]).await?;
    assert_eq!(resolve(&database, &late).await?, Resolved::Duplicate { job });
    assert_eq!(database.number("SELECT count(*) FROM scoring_jobs").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_resource_thought_to_be_gone_is_its_jobs_again_when_it_is_seen() -> Result<()> {
    let database = Database::fresh().await?;
    let mirrored = mirror_of(&database, database.done().await?).await?;
    let asked_for = request(database.submission().await?, resource("mine"));
    for request in [mirrored, asked_for] {
        let job = bound(&database, &request).await?;
        database.store.resource_gone(&[request.resource.uid]).await?;
        assert_eq!(bound(&database, &request).await?, job);
        let elsewhere = ResourceRequest { named_job: None, ..request };
        assert_eq!(bound(&database, &elsewhere).await?, job, "whatever its name says");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_not_acceptable_is_bound_all_the_same_but_becomes_no_job() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.queued().await?;
    let mirror = ResourceRequest { acceptable: false, ..mirror_of(&database, job).await? };
    assert_eq!(bound(&database, &mirror).await?, job);
    let named = ResourceRequest { named_job: Some(Uuid::now_v7()), ..mirror };
    let named = ResourceRequest { resource: resource("another"), ..named };
    assert_eq!(resolve(&database, &named).await?, Resolved::Unacceptable);
    assert_eq!(database.number("SELECT count(*) FROM scoring_jobs").await?, 1);
    Ok(())
}

#[tokio::test]
async fn one_item_that_never_settles_fails_alone() -> Result<()> {
    let database = Database::fresh().await?;
    // Bars the way for a reason that looking up other jobs does not find.
    database.run("CREATE UNIQUE INDEX ON scoring_jobs (priority) WHERE priority = 9").await?;
    database.queued_with(Knobs { priority: 9.try_into()?, ..Knobs::default() }).await?;
    let mut barred = request(database.submission().await?, resource("barred"));
    barred.knobs.priority = 9.try_into()?;
    let free = request(database.submission().await?, resource("free"));
    let answers = database.store.resolve(&[barred, free.clone()]).await?;
    assert_eq!(answers[0], Ok(Resolved::Unsettled));
    assert!(matches!(&answers[1], Ok(Resolved::Bound(row)) if row.id == free.resource.uid));
    Ok(())
}

#[tokio::test]
async fn a_name_that_happens_to_be_another_submissions_job_means_nothing() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.queued().await?;
    let request = ResourceRequest {
        named_job: Some(job),
        ..request(database.submission().await?, resource(&job.to_string()))
    };
    assert_eq!(bound(&database, &request).await?, request.resource.uid);
    assert_eq!(database.row(job).await?.mirror, Mirror::None);
    Ok(())
}

#[tokio::test]
async fn resources_are_answered_each_on_its_own_in_their_order() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.queued().await?;
    let mine = request(database.submission().await?, resource("mine"));
    let mut broken = request(database.submission().await?, resource("broken"));
    broken.knobs.timeout_seconds = 0;
    let requests = [mine.clone(), mirror_of(&database, job).await?, broken, mine];
    let answers = database.store.resolve(&requests).await?;
    let ids: Vec<Option<Uuid>> = answers
        .iter()
        .map(|answer| match answer {
            Ok(Resolved::Bound(row)) => Some(row.id),
            _ => None,
        })
        .collect();
    let uid = Some(requests[0].resource.uid);
    assert_eq!((ids[0], ids[1], ids[2], ids[3]), (uid, Some(job), None, uid));
    assert!(answers[2].is_err());
    Ok(())
}

#[tokio::test]
async fn a_batch_is_bound_to_the_first_resource_seen() -> Result<()> {
    let database = Database::fresh().await?;
    let batch = new_batch(database.submissions(1).await?);
    database.store.accept_batch(&batch).await?;
    let (first, second) = (resource("first"), resource("second"));
    for _ in 0..2 {
        let binding = database.store.bind_batch(batch.id, &first).await?;
        assert!(matches!(binding, BatchBinding::Bound(row) if row.id == batch.id));
    }
    assert_eq!(database.store.bind_batch(batch.id, &second).await?, BatchBinding::OtherResource);
    database.store.batch_resource_gone(&[batch.id]).await?;
    assert_eq!(database.store.bind_batch(batch.id, &second).await?, BatchBinding::OtherResource);
    let binding = database.store.bind_batch(batch.id, &first).await?;
    assert!(matches!(binding, BatchBinding::Bound(_)), "thought to be gone, and seen again");
    assert_eq!(database.store.live_batches_page(None, 10).await?.len(), 1);
    assert_eq!(database.store.bind_batch(Uuid::now_v7(), &second).await?, BatchBinding::Unknown);
    Ok(())
}

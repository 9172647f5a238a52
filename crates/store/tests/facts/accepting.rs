//! Accepting jobs.

use std::sync::Arc;

use anyhow::{Context, Result};
use domain::{JobStatus, Knobs};
use store::{Accepted, Mirror, NewJob, Refusal, Scope};
use tokio::sync::Barrier;
use uuid::Uuid;

use crate::database::{Database, new_job, resource};

#[tokio::test]
async fn an_accepted_job_waits_with_the_choices_of_its_client() -> Result<()> {
    let database = Database::fresh().await?;
    let submission = Uuid::now_v7();
    database.store.create_submission(submission, "acme", None, "{}", true).await?;
    let not_before = "2030-01-02T03:04:05.678901Z".parse().ok();
    let knobs = Knobs {
        pool: "gpu".parse()?,
        priority: 9.try_into()?,
        retries: 1,
        backoff_seconds: 7,
        timeout_seconds: 5,
        ttl_seconds: 6,
        not_before,
        suspended: true,
        ..Knobs::default()
    };
    let new = NewJob { knobs, traceparent: Some("00-1-2-01".to_owned()), ..new_job(submission) };
    let row = database.row(database.accepted(&new).await?).await?;
    assert_eq!((row.status, row.attempt, row.max_attempts, row.version), (JobStatus::Queued, 0, 2, 1));
    assert_eq!((row.pool.as_str(), row.priority.get()), ("gpu", 9));
    assert_eq!((row.backoff_seconds, row.timeout_seconds, row.ttl_seconds), (7, 5, 6));
    assert!(row.suspended);
    assert_eq!((row.not_before, row.traceparent.as_deref()), (not_before, Some("00-1-2-01")));
    assert_eq!((row.tenant.as_str(), row.rubric_version.as_str()), ("acme", "1"));
    assert_eq!((row.mirror, row.queued_at), (Mirror::None, None));
    Ok(())
}

#[tokio::test]
async fn each_item_is_answered_on_its_own() -> Result<()> {
    let database = Database::fresh().await?;
    let store = &database.store;
    let (good, in_progress, busy) =
        (database.submission().await?, Uuid::now_v7(), database.submission().await?);
    store.create_submission(in_progress, "default", None, "{}", false).await?;
    let earlier = database.accepted(&new_job(busy)).await?;
    let (first, second) = (new_job(good), new_job(good));
    let mut other_rubric = new_job(database.submission().await?);
    other_rubric.knobs.rubric = "none".to_owned();
    let taken = NewJob { id: earlier, ..new_job(database.submission().await?) };
    let items =
        [first, second, new_job(Uuid::now_v7()), new_job(in_progress), other_rubric, new_job(busy), taken];
    let first = items[0].id;
    let answers: Vec<Accepted> = store.accept(&items).await?.into_iter().collect::<Result<_, _>>()?;
    let queued = JobStatus::Queued;
    assert_eq!(
        answers,
        [
            Accepted::Created { id: first },
            Accepted::Existing { id: first, status: queued },
            Accepted::Refused(Refusal::UnknownSubmission),
            Accepted::Refused(Refusal::NotSubmitted),
            Accepted::Refused(Refusal::UnknownRubric),
            Accepted::Existing { id: earlier, status: queued },
            Accepted::Refused(Refusal::IdTaken),
        ]
    );
    Ok(())
}

#[tokio::test]
async fn accepting_again_after_a_lost_answer_finds_the_job() -> Result<()> {
    let database = Database::fresh().await?;
    let new = new_job(database.submission().await?);
    for _ in 0..2 {
        database.accepted(&new).await?;
    }
    database.start(new.id, 1).await?;
    database.accepted(&new).await?;
    assert_eq!(database.number("SELECT count(*) FROM scoring_jobs").await?, 1);
    Ok(())
}

#[tokio::test]
async fn an_ended_job_makes_room_for_another_of_its_submission() -> Result<()> {
    let database = Database::fresh().await?;
    let ended = database.done().await?;
    let submission = database.row(ended).await?.submission_id;
    let second = database.accepted(&new_job(submission)).await?;
    assert_ne!(second, ended);
    Ok(())
}

#[tokio::test]
async fn the_submission_of_another_tenant_is_unknown() -> Result<()> {
    let database = Database::fresh().await?;
    let submission = database.submission().await?;
    let asked = |tenant: &str| NewJob { scope: Scope::Tenant(tenant.to_owned()), ..new_job(submission) };
    let store = database.confined(Scope::All).await?;
    let answers = store.accept(&[asked("other"), asked("default")]).await?;
    assert_eq!(answers[0], Ok(Accepted::Refused(Refusal::UnknownSubmission)));
    assert!(matches!(answers[1], Ok(Accepted::Created { .. })));
    Ok(())
}

#[tokio::test]
async fn a_job_made_with_kubectl_is_bound_to_its_resource_at_once() -> Result<()> {
    let database = Database::fresh().await?;
    let resource = resource("my-job");
    let new = NewJob {
        id: resource.uid,
        resource: Some(resource.clone()),
        ..new_job(database.submission().await?)
    };
    let row = database.row(database.accepted(&new).await?).await?;
    let bound = Mirror::Job { namespace: resource.namespace, name: resource.name, uid: Some(resource.uid) };
    assert_eq!(row.mirror, bound);
    Ok(())
}

#[tokio::test]
async fn an_item_that_postgres_refuses_does_not_keep_the_others_out() -> Result<()> {
    let database = Database::fresh().await?;
    let submissions = database.submissions(3).await?;
    let mut items: Vec<NewJob> = submissions.into_iter().map(new_job).collect();
    items[1].knobs.timeout_seconds = 0;
    let answers = database.store.accept(&items).await?;
    assert_eq!(answers[0], Ok(Accepted::Created { id: items[0].id }));
    let invalid = answers[1].as_ref().expect_err("no time for an attempt");
    assert_eq!(invalid.constraint.as_deref(), Some("scoring_jobs_timeout_range"));
    assert_eq!(answers[2], Ok(Accepted::Created { id: items[2].id }));
    Ok(())
}

#[tokio::test]
async fn of_many_posts_of_one_submission_at_once_exactly_one_makes_a_job() -> Result<()> {
    let database = Arc::new(Database::fresh().await?);
    let submissions = Arc::new(database.submissions(8).await?);
    let barrier = Arc::new(Barrier::new(5));
    let post = |turn: usize| {
        let (database, submissions, barrier) = (database.clone(), submissions.clone(), barrier.clone());
        tokio::spawn(async move {
            // Each in another order, so that the calls get in each other's way.
            let mut items: Vec<NewJob> = submissions.iter().copied().map(new_job).collect();
            items.rotate_left(turn);
            barrier.wait().await;
            let mut answers = database.store.accept(&items).await?;
            answers.rotate_right(turn);
            anyhow::Ok(answers)
        })
    };
    let posts: Vec<_> = (0..5).map(post).collect();
    let mut created = vec![None; submissions.len()];
    let mut existing = Vec::new();
    for post in posts {
        for (at, answer) in post.await??.into_iter().enumerate() {
            match answer? {
                Accepted::Created { id } => assert_eq!(created[at].replace(id), None),
                Accepted::Existing { id, .. } => existing.push((at, id)),
                Accepted::Refused(refusal) => panic!("{refusal}"),
                Accepted::Unsettled => panic!("unsettled"),
            }
        }
    }
    for (at, id) in existing {
        assert_eq!(created[at].context("the winner")?, id);
    }
    assert_eq!(database.number("SELECT count(*) FROM scoring_jobs").await?, 8);
    Ok(())
}

#[tokio::test]
async fn a_post_never_fails_because_the_active_job_ends_at_that_moment() -> Result<()> {
    let database = Arc::new(Database::fresh().await?);
    let submission = database.submission().await?;
    let scoring = database.clone();
    let scorer = tokio::spawn(async move {
        for epoch in 1..200 {
            let row: Option<(Uuid,)> =
                sqlx::query_as("SELECT id FROM scoring_jobs WHERE completed_at IS NULL")
                    .fetch_optional(&scoring.sql)
                    .await?;
            if let Some((job,)) = row {
                scoring.start(job, epoch).await?;
                scoring.store.finish(&[crate::database::finish(job, epoch, crate::database::done())]).await?;
            }
        }
        anyhow::Ok(())
    });
    while !scorer.is_finished() {
        let answer = database.store.accept(&[new_job(submission)]).await?.pop().context("an answer")??;
        assert!(!matches!(answer, Accepted::Refused(_)), "{answer:?}");
    }
    scorer.await?
}

#[tokio::test]
async fn accepting_nothing_is_no_work() -> Result<()> {
    let database = Database::fresh().await?;
    assert_eq!(database.store.accept(&[]).await?, []);
    Ok(())
}

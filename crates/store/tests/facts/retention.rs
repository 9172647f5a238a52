//! Retention: what has ended long ago leaves, whole and once, and nobody waits for it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use domain::{ErrorCode, JobId, Knobs, Priority};
use sqlx::AssertSqlSafe;
use store::{
    CancelRequest, Ending, JobDetail, JobFilter, Mirror, MirroredJob, MutableKnobs, NewJob, Redrive,
    RedriveOrder, Redriven, Resolved, ResourceRequest, Retirement, Settings, Skip, Store,
};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::batches::{members, new_batch};
use crate::database::{Database, done, finish, new_job, resource, start};

const NO_AGE: Duration = Duration::ZERO;
const TENANT: &str = "default";

/// Moves everything that may leave; how many jobs that were.
async fn retire(store: &Store, batch: u32) -> Result<u64> {
    let (mut after, mut moved) = (None, 0);
    loop {
        match store.retire(TENANT, NO_AGE, after, batch).await? {
            Retirement::Moved(retired) => {
                moved += retired.jobs;
                after = Some(retired);
            }
            Retirement::Done => return Ok(moved),
            Retirement::AnotherMoves => tokio::task::yield_now().await,
        }
    }
}

async fn is_in_history(database: &Database, job: JobId) -> Result<bool> {
    let both = "SELECT EXISTS (SELECT FROM scoring_history WHERE id = $1), \
                EXISTS (SELECT FROM scoring_jobs WHERE id = $1)";
    let (past, present): (bool, bool) = sqlx::query_as(both).bind(job).fetch_one(&database.sql).await?;
    ensure!(past != present, "the job is in one place, and in one only");
    Ok(past)
}

/// Jobs that are done, of submissions of their own, as fast as SQL makes them.
async fn load(database: &Database, jobs: u32) -> Result<()> {
    let load = format!(
        "WITH s AS (
           INSERT INTO submissions (status, content) SELECT 'SUBMITTED', '{{}}' FROM generate_series(1, {jobs})
           RETURNING id
         ), j AS (
           INSERT INTO scoring_jobs (id, submission_id, tenant, rubric, rubric_version, status, score, feedback, result,
             attempt, lease_epoch, scorer, created_at, started_at, completed_at, resource_kind)
           SELECT gen_random_uuid(), id, 'default', 'default', '1', 'DONE', 87.5, repeat('Well done. ', 20),
             '{{\"tests\": []}}', 1, 7, 'scorer-7', now() - interval '1 day', now() - interval '1 day', now(), 'none'
           FROM s RETURNING id
         )
         INSERT INTO scoring_attempts SELECT id, 7, 1, 'scorer-7', now(), now(), 'done' FROM j"
    );
    sqlx::query(AssertSqlSafe(load)).execute(&database.sql).await?;
    Ok(())
}

#[tokio::test]
async fn a_job_in_the_history_is_shown_as_it_was() -> Result<()> {
    let database = Database::fresh().await?;
    let store = &database.store;
    let scored = database.done().await?;
    let failed = database.running(1).await?;
    let message = "no such thing".to_owned();
    let permanent = Ending::Permanent { code: domain::ErrorCode::INTERNAL, message };
    store.finish(&[finish(failed, 1, permanent)]).await?;
    store.mark_queued(&[scored, failed]).await?;
    let shown =
        async |job| anyhow::Ok((store.job(job).await?.context("the job")?, store.attempts(job).await?));
    let before = (shown(scored).await?, shown(failed).await?);
    assert_eq!(retire(store, 10).await?, 2);
    assert!(is_in_history(&database, scored).await? && is_in_history(&database, failed).await?);
    let still = |(mut detail, attempts): (JobDetail, Vec<store::AttemptRow>)| {
        detail.job.delay = Duration::ZERO;
        (detail, attempts)
    };
    assert_eq!(
        (still(shown(scored).await?), still(shown(failed).await?)),
        (still(before.0), still(before.1))
    );
    assert_eq!(store.jobs(&JobFilter::default(), None, 10).await?.jobs, []);
    Ok(())
}

#[tokio::test]
async fn nothing_leaves_that_is_active_young_or_shown_by_a_resource() -> Result<()> {
    let database = Database::fresh().await?;
    let store = &database.store;
    let queued = database.queued().await?;
    let running = database.running(1).await?;
    let held_back = database.queued_with(Knobs { suspended: true, ..Knobs::default() }).await?;
    let retried = database.running(1).await?;
    let again = Ending::Retryable {
        code: domain::ErrorCode::INTERNAL,
        message: "later".to_owned(),
        delay: Duration::from_secs(1),
    };
    store.finish(&[finish(retried, 1, again)]).await?;
    // Ended, and mirrored in a resource that is still there.
    let live = database.queued().await?;
    let relay = store.begin_relay().await?.context("the turn")?;
    let uid = Uuid::new_v4();
    relay.mark_mirrored(&[MirroredJob { job: live, uid: Some(uid) }], "assay").await?;
    relay.end().await?;
    database.start(live, 1).await?;
    store.finish(&[finish(live, 1, done())]).await?;
    assert_eq!(retire(store, 10).await?, 0);
    for job in [queued, running, held_back, retried, live] {
        assert!(!is_in_history(&database, job).await?);
    }
    // Its resource goes.
    store.resource_gone(&[uid]).await?;
    let an_hour = Duration::from_secs(3600);
    assert_eq!(store.retire(TENANT, an_hour, None, 10).await?, Retirement::Done, "it is young");
    assert_eq!(store.retire("another", NO_AGE, None, 10).await?, Retirement::Done);
    assert_eq!(retire(store, 10).await?, 1);
    assert!(is_in_history(&database, live).await?);
    Ok(())
}

#[tokio::test]
async fn members_stay_as_long_as_their_batch_has_a_resource_and_are_counted_ever_after() -> Result<()> {
    let database = Database::fresh().await?;
    let store = &database.store;
    let batch = new_batch(database.submissions(3).await?);
    store.accept_batch(&batch).await?;
    let jobs = members(&database, batch.id).await?;
    for job in &jobs[..2] {
        database.start(*job, 1).await?;
        store.finish(&[finish(*job, 1, done())]).await?;
    }
    let cancel = CancelRequest { job: jobs[2], by: "a test".to_owned(), reason: "enough".to_owned() };
    store.cancel(&[cancel]).await?;
    assert_eq!(retire(store, 10).await?, 0, "its resource is still to be made");
    let relay = store.begin_relay().await?.context("the turn")?;
    relay.mark_batch_mirrored(batch.id, "assay", "b", Some(Uuid::new_v4())).await?;
    relay.end().await?;
    assert_eq!(retire(store, 10).await?, 0, "its resource counts them");
    store.batch_resource_gone(&[batch.id]).await?;
    let before = store.batch(batch.id).await?.context("the batch")?;
    assert_eq!(retire(store, 2).await?, 3);
    assert_eq!(store.batch(batch.id).await?.context("the batch")?, before);
    assert_eq!((before.counts.done, before.counts.error, before.counts.failures.len()), (2, 1, 1));
    assert_eq!(store.drop_history(NO_AGE, 1).await?, 1);
    assert_eq!(store.batch(batch.id).await?, None, "two of three would be counted as all");
    Ok(())
}

#[tokio::test]
async fn a_mover_whose_answers_are_lost_or_whose_statements_are_cut_short_loses_and_doubles_nothing()
-> Result<()> {
    const JOBS: i64 = 600;
    let database = Database::fresh().await?;
    load(&database, 600).await?;
    let whole = "SELECT (SELECT count(*) FROM scoring_jobs) + (SELECT count(*) FROM scoring_history)";
    let doubled = "SELECT count(*) FROM scoring_jobs JOIN scoring_history USING (id)";
    let orphans = "SELECT count(*) FROM scoring_attempts a LEFT JOIN scoring_jobs j ON j.id = a.job_id
      WHERE j.id IS NULL";
    // Deadlines from far too short to long enough: some statements end before they begin, some in the middle, some when
    // nobody waits for their answer any more.
    let mut lost = 0;
    for round in 0.. {
        ensure!(round < 500, "it never ends");
        let deadline = Duration::from_millis(1 + round * 7 % 120);
        let settings = Settings { deadline, max_connections: 1, ..Settings::new(&database.url) };
        let impatient = Store::connect(&settings)?;
        match impatient.retire(TENANT, NO_AGE, None, 50).await {
            Ok(Retirement::Done) => break,
            Ok(_) => {}
            Err(_) => lost += 1,
        }
        impatient.close().await;
        assert_eq!(database.number(whole).await?, JOBS, "after round {round}");
        assert_eq!(database.number(doubled).await?, 0);
        assert_eq!(database.number(orphans).await?, 0);
    }
    assert!(lost > 0, "no answer was ever lost");
    assert_eq!(database.number("SELECT count(*) FROM scoring_history").await?, JOBS);
    let attempts = "SELECT count(*) FROM scoring_history WHERE jsonb_array_length(attempts) = 1";
    assert_eq!(database.number(attempts).await?, JOBS);
    Ok(())
}

#[tokio::test]
async fn movers_at_the_same_time_never_wait_for_each_other_and_move_each_job_once() -> Result<()> {
    let database = Database::fresh().await?;
    load(&database, 1000).await?;
    // One is stuck in the middle of moving.
    let mut stuck = database.sql.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('assay retention', 0))")
        .execute(&mut *stuck)
        .await?;
    assert_eq!(database.store.retire(TENANT, NO_AGE, None, 10).await?, Retirement::AnotherMoves);
    stuck.rollback().await?;
    // And a row is held by whoever is about to change it.
    let mut held = database.sql.begin().await?;
    let hold = "SELECT id FROM scoring_jobs ORDER BY created_at, id LIMIT 1 FOR NO KEY UPDATE";
    let first: Uuid = sqlx::query_scalar(hold).fetch_one(&mut *held).await?;
    let mut movers = JoinSet::new();
    for _ in 0..4 {
        let store = database.store.clone();
        movers.spawn(async move { retire(&store, 50).await });
    }
    let mut moved = 0;
    while let Some(mover) = movers.join_next().await {
        moved += mover??;
    }
    assert_eq!(moved, 999);
    assert!(!is_in_history(&database, first).await?);
    held.rollback().await?;
    assert_eq!(retire(&database.store, 50).await?, 1);
    Ok(())
}

#[tokio::test]
async fn nobody_waits_long_while_thousands_of_jobs_move() -> Result<()> {
    const JOBS: u32 = 5000;
    let database = Database::fresh().await?;
    load(&database, JOBS).await?;
    let submissions = database.submissions(200).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut workers = JoinSet::new();
    for share in submissions.chunks(100) {
        let (store, share, stop) = (database.store.clone(), share.to_vec(), stop.clone());
        workers.spawn(async move {
            let mut took = Vec::new();
            for submission in share.iter().cycle() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let new = new_job(*submission);
                let job = new.id;
                let began = Instant::now();
                store.accept(&[new]).await?;
                store.start(&[start(job, 1)]).await?;
                store.finish(&[finish(job, 1, done())]).await?;
                took.push(began.elapsed());
            }
            anyhow::Ok(took)
        });
    }
    let began = Instant::now();
    let (mut after, mut moved, mut longest_batch) = (None, 0, Duration::ZERO);
    while moved < u64::from(JOBS) {
        let batch = Instant::now();
        match database.store.retire(TENANT, NO_AGE, after, 500).await? {
            Retirement::Moved(retired) => {
                moved += retired.jobs;
                after = Some(retired);
            }
            Retirement::Done => break,
            Retirement::AnotherMoves => {}
        }
        longest_batch = longest_batch.max(batch.elapsed());
    }
    let moving = began.elapsed();
    stop.store(true, Ordering::Relaxed);
    let mut took = Vec::new();
    while let Some(worker) = workers.join_next().await {
        took.extend(worker??);
    }
    took.sort_unstable();
    let at = |share: usize| took[(took.len() * share / 100).min(took.len() - 1)];
    println!(
        "moved {moved} jobs in {moving:?}, longest batch {longest_batch:?}; meanwhile {} jobs accepted, started and \
         finished, one by one: p50 {:?}, p99 {:?}, longest {:?}",
        took.len(),
        at(50),
        at(99),
        at(100)
    );
    assert!(moved >= u64::from(JOBS));
    assert!(at(100) < Duration::from_secs(2), "somebody waited for {:?}", at(100));
    Ok(())
}

#[tokio::test]
async fn the_history_is_exported_whole_and_once_however_often_one_goes_on() -> Result<()> {
    let database = Database::fresh().await?;
    let (mut seen, mut after) = (HashSet::new(), 0);
    for round in 0.. {
        if round < 3 {
            // Jobs come into the history between one page and the next.
            load(&database, 250).await?;
            retire(&database.store, 40).await?;
        }
        let page = database.store.history_page(after, None, None, 100).await?;
        if page.is_empty() {
            break;
        }
        for job in page {
            let line: serde_json::Value = serde_json::from_str(&job.line)?;
            assert_eq!((&line["status"], &line["score"]), (&"DONE".into(), &87.5.into()));
            assert_eq!((&line["attempts"][0]["outcome"], &line["cursor"]), (&"done".into(), &job.seq.into()));
            assert!(seen.insert(line["id"].as_str().context("an id")?.to_owned()), "twice: {line}");
            assert!(job.seq > after);
            after = job.seq;
        }
    }
    assert_eq!(seen.len(), 750);
    let later = "2100-01-01T00:00:00Z".parse().ok();
    assert_eq!(database.store.history_page(0, later, None, 10).await?, []);
    assert_eq!(database.store.history_page(0, None, later, 10).await?.len(), 10);
    Ok(())
}

#[tokio::test]
async fn an_id_that_is_in_the_history_never_becomes_a_job_again() -> Result<()> {
    let database = Database::fresh().await?;
    let store = &database.store;
    let new = new_job(database.submission().await?);
    database.accepted(&new).await?;
    database.start(new.id, 1).await?;
    store.finish(&[finish(new.id, 1, done())]).await?;
    retire(store, 10).await?;
    // A repetition that comes very late is told what the first time did.
    database.accepted(&new).await?;
    let other = NewJob { id: new.id, ..new_job(database.submission().await?) };
    let refused = store::Accepted::Refused(store::Refusal::IdTaken);
    assert_eq!(store.accept(&[other]).await?, [Ok(refused)]);
    assert!(is_in_history(&database, new.id).await?);
    // As for a resource that is there again, say after an API server was restored.
    let request = ResourceRequest {
        resource: store::ResourceRef { uid: new.id, ..resource("restored") },
        submission_id: new.submission_id,
        knobs: Knobs::default(),
        named_job: None,
        made_by_gateway: false,
        acceptable: true,
        traceparent: None,
    };
    let of_gateway = ResourceRequest {
        resource: resource(&new.id.to_string()),
        named_job: Some(new.id),
        made_by_gateway: true,
        ..request.clone()
    };
    let duplicate = || Ok(Resolved::Duplicate { job: new.id });
    assert_eq!(store.resolve(&[request, of_gateway]).await?, [duplicate(), duplicate()]);
    assert_eq!(database.number("SELECT count(*) FROM scoring_jobs").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_job_in_the_history_may_be_scored_again_and_changes_itself_no_more() -> Result<()> {
    let database = Database::fresh().await?;
    let store = &database.store;
    let job = database.done().await?;
    retire(store, 10).await?;
    let knobs = MutableKnobs { priority: Priority::default(), suspended: true, ttl_seconds: 1 };
    assert_eq!(store.apply_knobs(job, knobs).await?, store::Applied::NotFound);
    let new_id = Uuid::now_v7();
    let by = "a test".to_owned();
    let retry = store::RetryRequest { job, new_id, by, traceparent: None };
    let created = store::Retried::Answered(store::Accepted::Created { id: new_id });
    assert_eq!(store.retry(&retry).await?, created);
    assert_eq!(database.row(job).await?.mirror, Mirror::Gone { uid: None });
    assert!(database.run("UPDATE scoring_history SET status = 'ERROR'").await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_dead_letter_is_left_alone_whose_submission_was_scored_by_a_job_that_is_in_the_history()
-> Result<()> {
    let database = Database::fresh().await?;
    let store = &database.store;
    let dead = database.dead(ErrorCode::TIMEOUT).await?;
    let new = new_job(database.row(dead).await?.submission_id);
    database.accepted(&new).await?;
    database.start(new.id, 9).await?;
    store.finish(&[finish(new.id, 9, done())]).await?;
    retire(store, 10).await?;
    assert!(is_in_history(&database, new.id).await?);
    let redrive = [Redrive { job: dead, new_id: Uuid::now_v7() }];
    let answers = store.redrive(&redrive, &RedriveOrder::by("ann")).await?;
    assert_eq!(answers, [Redriven::Skipped(Skip::Scored { job: new.id })]);
    Ok(())
}

#[tokio::test]
async fn only_ended_jobs_fit_into_the_history() -> Result<()> {
    let database = Database::fresh().await?;
    for (status, job, attempts) in [
        ("RUNNING", r#"{"id": "00000000-0000-0000-0000-000000000001", "status": "RUNNING"}"#, "[]"),
        ("DONE", r#"{"id": "00000000-0000-0000-0000-000000000002", "status": "DONE"}"#, "[]"),
        ("DONE", r#"{"id": "00000000-0000-0000-0000-000000000001", "status": "ERROR"}"#, "[]"),
        ("DONE", r#"{"id": "00000000-0000-0000-0000-000000000001", "status": "DONE"}"#, "{}"),
    ] {
        let insert = format!(
            "INSERT INTO scoring_history (id, tenant, submission_id, status, completed_at, job, attempts)
             VALUES ('00000000-0000-0000-0000-000000000001', 'a', '00000000-0000-0000-0000-000000000003', '{status}',
             now(), '{job}'::jsonb || '{{\"submission_id\": \"00000000-0000-0000-0000-000000000003\"}}', '{attempts}')"
        );
        let refused =
            sqlx::query(AssertSqlSafe(insert)).execute(&database.sql).await.expect_err("no such row");
        let constraint = refused.as_database_error().and_then(|error| error.constraint().map(str::to_owned));
        assert!(constraint.is_some_and(|name| name.starts_with("scoring_history_")), "{refused}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_dropped_is_old_enough_and_in_nobodys_use() -> Result<()> {
    let database = Database::fresh().await?;
    let store = &database.store;
    let job = database.done().await?;
    let past = database.row(job).await?.submission_id;
    retire(store, 10).await?;
    let present = database.row(database.queued().await?).await?.submission_id;
    // Handed in long ago, and to be scored one day.
    let unscored = database.submission().await?;
    let open = Uuid::now_v7();
    store.create_submission(open, TENANT, None, "{}", false).await?;
    let an_hour = Duration::from_secs(3600);
    assert_eq!(store.drop_history(an_hour, 10).await?, 0);
    let mut deleted = 0;
    for age in [an_hour, NO_AGE] {
        let mut after = None;
        while let Some(page) = store.drop_submissions(age, after, 1).await? {
            after = Some(page.last);
            deleted += page.deleted;
        }
        assert_eq!((deleted, after), (u64::from(age == NO_AGE), Some(open)), "all were looked at");
    }
    assert!(store.submission(past).await?.is_none());
    for kept in [present, unscored, open] {
        assert!(store.submission(kept).await?.is_some());
    }
    assert!(store.job(job).await?.is_some(), "its score is still shown");
    assert_eq!(store.drop_history(NO_AGE, 10).await?, 1);
    assert!(store.job(job).await?.is_none());
    Ok(())
}

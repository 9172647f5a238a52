//! How many active jobs a tenant may have.

use anyhow::{Result, ensure};
use domain::ErrorCode;
use store::{
    Accepted, CancelRequest, Ending, NewJob, Quota, Redrive, RedriveOrder, Redriven, Refusal, Retried,
    RetryRequest, Scope, Settings, Skip, Store,
};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::batches::new_batch;
use crate::database::{Database, done, finish, new_job, start, start_after};

/// Active jobs as they are counted, and as they are.
const COUNTED: &str =
    "SELECT coalesce(sum(jobs), 0)::bigint FROM tenant_active_jobs WHERE tenant = 'default'";
const ACTUAL: &str = "SELECT count(*) FROM scoring_jobs WHERE completed_at IS NULL AND tenant = 'default'";

fn enforcing(database: &Database, jobs: u32) -> Result<Store> {
    let quota = Quota::Enforced(jobs);
    Ok(Store::connect(&Settings { max_connections: 5, quota, ..Settings::new(&database.url) })?)
}

fn over(allowed: u64) -> Accepted {
    Accepted::Refused(Refusal::OverQuota { allowed })
}

async fn new_jobs(database: &Database, how_many: usize) -> Result<Vec<NewJob>> {
    Ok(database.submissions(how_many).await?.into_iter().map(new_job).collect())
}

async fn accepted(store: &Store, jobs: &[NewJob]) -> Result<Vec<Accepted>> {
    Ok(store.accept(jobs).await?.into_iter().collect::<Result<_, _>>()?)
}

async fn cancel(store: &Store, job: Uuid) -> Result<()> {
    store.cancel(&[CancelRequest { job, by: "ann".to_owned(), reason: "enough".to_owned() }]).await?;
    Ok(())
}

async fn is_counted(database: &Database) -> Result<i64> {
    let (counted, actual) = (database.number(COUNTED).await?, database.number(ACTUAL).await?);
    ensure!(counted == actual, "{counted} counted, {actual} are there");
    Ok(actual)
}

#[tokio::test]
async fn what_makes_no_new_job_takes_nothing_of_the_quota() -> Result<()> {
    let database = Database::fresh().await?;
    let store = enforcing(&database, 5)?;
    let active = new_jobs(&database, 3).await?;
    accepted(&store, &active).await?;
    let new = new_jobs(&database, 3).await?;
    let mut asked: Vec<NewJob> = active.iter().map(|job| new_job(job.submission_id)).collect();
    asked.extend([new[0].clone(), new_job(new[0].submission_id), new[1].clone(), new[2].clone()]);
    let answers = accepted(&store, &asked).await?;
    let existing = |answer: &Accepted| matches!(answer, Accepted::Existing { .. });
    assert!(answers[..3].iter().all(existing) && existing(&answers[4]), "{answers:?}");
    assert_eq!(answers[3], Accepted::Created { id: new[0].id });
    assert_eq!(answers[5], Accepted::Created { id: new[1].id });
    assert_eq!(answers[6], over(5));
    Ok(())
}

#[tokio::test]
async fn a_tenant_has_no_more_active_jobs_than_it_may_have() -> Result<()> {
    let database = Database::fresh().await?;
    let store = enforcing(&database, 3)?;
    let jobs = new_jobs(&database, 5).await?;
    let created = |at: usize| Accepted::Created { id: jobs[at].id };
    let answers = accepted(&store, &jobs).await?;
    assert_eq!(answers, [created(0), created(1), created(2), over(3), over(3)]);
    // What is there is still found, by its id and by its submission.
    assert_eq!(accepted(&store, &jobs[..1]).await?, [created(0)]);
    let again = accepted(&store, &[new_job(jobs[0].submission_id)]).await?;
    assert!(matches!(again[..], [Accepted::Existing { id, .. }] if id == jobs[0].id));

    let other = Uuid::now_v7();
    store.create_submission(other, "acme", None, "{}", true).await?;
    assert!(matches!(accepted(&store, &[new_job(other)]).await?[..], [Accepted::Created { .. }]));

    cancel(&store, jobs[1].id).await?;
    assert_eq!(accepted(&store, &jobs[3..]).await?, [created(3), over(3)]);
    // Whoever is not asked goes past it, and counts.
    assert_eq!(accepted(&database.store, &jobs[4..]).await?, [created(4)]);
    assert_eq!(is_counted(&database).await?, 4);
    Ok(())
}

#[tokio::test]
async fn a_quota_holds_for_callers_that_see_a_part_alone() -> Result<()> {
    let database = Database::fresh().await?;
    let store = enforcing(&database, 2)?;
    store.prepare_row_security(&database.url).await?;
    let scope = Scope::Tenant("default".to_owned());
    let jobs: Vec<NewJob> =
        new_jobs(&database, 3).await?.into_iter().map(|job| NewJob { scope: scope.clone(), ..job }).collect();
    let answers = accepted(&store, &jobs).await?;
    assert!(matches!(answers[..2], [Accepted::Created { .. }, Accepted::Created { .. }]), "{answers:?}");
    assert_eq!(answers[2], over(2));
    assert_eq!(is_counted(&database).await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_tenant_may_have_a_quota_of_its_own_or_none() -> Result<()> {
    let database = Database::fresh().await?;
    let jobs = new_jobs(&database, 6).await?;
    for (quota, general, expected) in [("1", 3, 1), ("NULL", 1, 2), ("0", 0, 0)] {
        let set = format!(
            "INSERT INTO tenant_quotas VALUES ('default', {quota})
             ON CONFLICT (tenant) DO UPDATE SET active_jobs = excluded.active_jobs"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(set)).execute(&database.sql).await?;
        let store = enforcing(&database, general)?;
        let answers = accepted(&store, &jobs[..2]).await?;
        let made = answers.iter().filter(|answer| matches!(answer, Accepted::Created { .. })).count();
        assert_eq!(made, expected, "{quota}: {answers:?}");
        for job in &jobs[..2] {
            cancel(&store, job.id).await?;
        }
        // Ids that have ended are known; the next round needs others.
        database.run("DELETE FROM scoring_jobs").await?;
        store.count_active_jobs().await?;
    }
    database.run("DELETE FROM tenant_quotas").await?;
    let none = enforcing(&database, 0)?;
    assert!(accepted(&none, &jobs).await?.iter().all(|answer| matches!(answer, Accepted::Created { .. })));
    Ok(())
}

#[tokio::test]
async fn members_of_a_batch_beyond_the_quota_are_rejected() -> Result<()> {
    let database = Database::fresh().await?;
    let store = enforcing(&database, 2)?;
    let batch = new_batch(database.submissions(3).await?);
    let answer = store.accept_batch(&batch).await?;
    assert_eq!((answer.accepted, answer.rejected.len()), (2, 1));
    assert_eq!(answer.rejected[0].code, "quota_exceeded");
    assert_eq!(is_counted(&database).await?, 2);
    Ok(())
}

#[tokio::test]
async fn neither_a_redrive_nor_a_retry_goes_beyond_the_quota() -> Result<()> {
    let database = Database::fresh().await?;
    let store = enforcing(&database, 2)?;
    let dead = database.many_dead(3).await?;
    let redrives: Vec<Redrive> =
        dead.iter().map(|job| Redrive { job: *job, new_id: Uuid::now_v7() }).collect();
    let made = |at: usize| Redriven::Made { id: redrives[at].new_id, not_before: None };
    let over_quota = Redriven::Skipped(Skip::OverQuota { allowed: 2 });
    let answers = store.redrive(&redrives, &RedriveOrder::by("ann")).await?;
    assert_eq!(answers, [made(0), made(1), over_quota]);
    let retry =
        RetryRequest { job: dead[2], new_id: Uuid::now_v7(), by: "ann".to_owned(), traceparent: None };
    assert_eq!(store.retry(&retry).await?, Retried::Answered(over(2)));
    cancel(&store, redrives[0].new_id).await?;
    assert_eq!(store.redrive(&redrives[2..], &RedriveOrder::by("ann")).await?, [made(2)]);
    assert_eq!(is_counted(&database).await?, 2);
    Ok(())
}

#[tokio::test]
async fn however_a_job_ends_it_is_counted_no_more() -> Result<()> {
    let database = Database::fresh().await?;
    database.done().await?;
    database.dead(ErrorCode::TIMEOUT).await?;
    let retried = database.running(1).await?;
    let later = Ending::Retryable {
        code: ErrorCode::TIMEOUT,
        message: "slow".to_owned(),
        delay: std::time::Duration::ZERO,
    };
    database.store.finish(&[finish(retried, 1, later)]).await?;
    assert_eq!(is_counted(&database).await?, 1, "one that is to be tried again is active");
    database.store.finish(&[finish(retried, 1, done())]).await?;
    let knobs = domain::Knobs { retries: 0, ..domain::Knobs::default() };
    let lost = database.queued_with(knobs).await?;
    database.start(lost, 1).await?;
    database.store.start(&[start_after(1, lost, 2)]).await?;
    assert_eq!(is_counted(&database).await?, 1);
    for _ in 0..2 {
        cancel(&database.store, retried).await?;
    }
    assert_eq!(is_counted(&database).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_count_puts_right_what_others_changed() -> Result<()> {
    let database = Database::fresh().await?;
    database.queued().await?;
    // As a program of the version before does it.
    let submission = database.submission().await?;
    sqlx::query(
        "INSERT INTO scoring_jobs (id, submission_id, tenant, rubric, rubric_version)
         VALUES (gen_random_uuid(), $1, 'default', 'default', '1')",
    )
    .bind(submission)
    .execute(&database.sql)
    .await?;
    assert!(is_counted(&database).await.is_err());
    database.store.count_active_jobs().await?;
    assert_eq!(is_counted(&database).await?, 2);
    Ok(())
}

#[tokio::test]
async fn the_number_stays_true_while_it_is_settled_and_counted_and_jobs_come_and_go() -> Result<()> {
    const GATEWAYS: usize = 4;
    const GROUP: usize = 8;
    const ALLOWED: i64 = 60;
    let database = Database::fresh().await?;
    let mut work: JoinSet<Result<i64>> = JoinSet::new();
    for gateway in 0..GATEWAYS {
        let store = enforcing(&database, u32::try_from(ALLOWED)?)?;
        let jobs = new_jobs(&database, 15 * GROUP).await?;
        let sql = database.sql.clone();
        work.spawn(async move {
            let mut most = 0;
            for group in jobs.chunks(GROUP) {
                let answers = accepted(&store, group).await?;
                let made = group.iter().zip(answers).filter_map(|(job, answer)| match answer {
                    Accepted::Created { .. } => Some(job.id),
                    _ => None,
                });
                most = most.max(sqlx::query_scalar::<_, i64>(ACTUAL).fetch_one(&sql).await?);
                for (at, job) in made.enumerate() {
                    match (at + gateway) % 4 {
                        0 => cancel(&store, job).await?,
                        1 => {
                            store.start(&[start(job, 1)]).await?;
                            store.finish(&[finish(job, 1, done())]).await?;
                        }
                        _ => {}
                    }
                }
                store.settle_active_jobs().await?;
                store.count_active_jobs().await?;
            }
            Ok(most)
        });
    }
    let mut most = 0;
    while let Some(worked) = work.join_next().await {
        most = most.max(worked??);
    }
    let beyond = i64::try_from((GATEWAYS - 1) * GROUP)?;
    assert!((ALLOWED..=ALLOWED + beyond).contains(&most), "{most} at once");
    is_counted(&database).await?;
    Ok(())
}

#[tokio::test]
async fn many_notes_of_a_tenant_become_one() -> Result<()> {
    let database = Database::fresh().await?;
    for _ in 0..20 {
        database.queued().await?;
    }
    database.store.settle_active_jobs().await?;
    assert_eq!(database.number("SELECT count(*) FROM tenant_active_jobs").await?, 1);
    assert_eq!(is_counted(&database).await?, 20);
    Ok(())
}

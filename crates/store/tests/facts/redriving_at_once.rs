//! Redrives that meet or fail half-way.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use domain::{ErrorCode, JobStatus};
use store::{Redrive, RedriveOrder, Redriven, RetryRequest, Settings, Skip, Store};
use testkit::{Seen, until};
use tokio::sync::Barrier;
use uuid::Uuid;

use crate::database::Database;
use crate::outage::until_waiting;

fn redrive(job: Uuid) -> Redrive {
    Redrive { job, new_id: Uuid::now_v7() }
}

fn retry(job: Uuid) -> RetryRequest {
    RetryRequest { job, new_id: Uuid::now_v7(), by: "ann".to_owned(), traceparent: None }
}

#[tokio::test]
async fn redrives_of_the_same_dead_letters_at_the_same_moment_make_each_job_once() -> Result<()> {
    let database = Arc::new(Database::fresh().await?);
    let jobs = Arc::new(database.many_dead(300).await?);
    let barrier = Arc::new(Barrier::new(4));
    let mut tasks = Vec::new();
    for number in 0..4 {
        let (database, jobs, barrier) = (database.clone(), jobs.clone(), barrier.clone());
        tasks.push(tokio::spawn(async move {
            let mut redrives: Vec<Redrive> = jobs.iter().copied().map(redrive).collect();
            // In any order: they must not wait for each other in a circle.
            if number % 2 == 1 {
                redrives.reverse();
            }
            barrier.wait().await;
            database.store.redrive(&redrives, &RedriveOrder::by(format!("gateway {number}"))).await
        }));
    }
    let mut made = HashSet::new();
    for task in tasks {
        for answer in task.await?? {
            match answer {
                Redriven::Made { id, .. } => assert!(made.insert(id)),
                Redriven::Skipped(Skip::Redriven { .. } | Skip::Active { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(made.len(), 300);
    for table in [
        "SELECT count(*) FROM redrives",
        "SELECT count(*) FROM audit_log WHERE action = 'redrive'",
        "SELECT count(*) FROM scoring_jobs WHERE completed_at IS NULL",
    ] {
        assert_eq!(database.number(table).await?, 300, "{table}");
    }
    Ok(())
}

#[tokio::test]
async fn a_redrive_that_has_come_and_gone_meanwhile_is_not_made_again() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.dead(ErrorCode::TIMEOUT).await?;
    let (other, mine) = (redrive(job), redrive(job));
    // Another gateway's redrive whose job ends in the instant in which it is first seen.
    let mut theirs = database.sql.begin().await?;
    sqlx::query(
        "INSERT INTO scoring_jobs (id, submission_id, tenant, rubric, rubric_version)
         SELECT $2, submission_id, tenant, rubric, rubric_version FROM scoring_jobs WHERE id = $1",
    )
    .bind(job)
    .bind(other.new_id)
    .execute(&mut *theirs)
    .await?;
    sqlx::query("INSERT INTO redrives (job_id, new_job) VALUES ($1, $2)")
        .bind(job)
        .bind(other.new_id)
        .execute(&mut *theirs)
        .await?;
    let (order, redrives) = (RedriveOrder::by("ann"), [mine]);
    let (answers, ended) = tokio::join!(database.store.redrive(&redrives, &order), async {
        until_waiting(&database.sql, 1).await?;
        sqlx::query(
            "UPDATE scoring_jobs SET status = 'ERROR', error_code = 'timeout', feedback = 'slow', completed_at = now()
             WHERE id = $1",
        )
        .bind(other.new_id)
        .execute(&mut *theirs)
        .await?;
        anyhow::Ok(theirs.commit().await?)
    });
    ended?;
    let status = Some(JobStatus::Error);
    assert_eq!(answers?, [Redriven::Skipped(Skip::Redriven { job: other.new_id, status })]);
    assert_eq!(database.store.job(mine.new_id).await?, None);
    Ok(())
}

#[tokio::test]
async fn a_job_made_anew_and_its_audit_entry_are_there_together_or_not_at_all() -> Result<()> {
    let database = Database::fresh().await?;
    let (dead, scored) = (database.dead(ErrorCode::TIMEOUT).await?, database.done().await?);
    database.run("ALTER TABLE audit_log ADD CONSTRAINT full_disk CHECK (FALSE) NOT VALID").await?;
    for request in [retry(dead), retry(scored)] {
        assert!(database.store.retry(&request).await.is_err());
    }
    assert!(database.store.redrive(&[redrive(dead)], &RedriveOrder::by("ann")).await.is_err());
    assert_eq!(database.number("SELECT count(*) FROM scoring_jobs WHERE completed_at IS NULL").await?, 0);
    assert_eq!(database.number("SELECT count(*) FROM redrives").await?, 0);

    database.run("ALTER TABLE audit_log DROP CONSTRAINT full_disk").await?;
    for (request, action) in [(retry(dead), "redrive"), (retry(scored), "regrade")] {
        database.store.retry(&request).await?;
        let logged: (String, Uuid) =
            sqlx::query_as("SELECT action, job_id FROM audit_log WHERE detail ->> 'new_job' = $1::text")
                .bind(request.new_id)
                .fetch_one(&database.sql)
                .await?;
        assert_eq!(logged, (action.to_owned(), request.job));
    }
    Ok(())
}

#[tokio::test]
async fn a_page_reads_no_more_when_many_were_redriven_before_it() -> Result<()> {
    let database = Database::fresh().await?;
    // From now on the planner takes the table for empty.
    database.run("ANALYZE").await?;
    let jobs = database.many_dead(2500).await?;
    let store = Store::connect(&Settings { max_connections: 1, ..Settings::new(&database.url) })?;
    for page in jobs.chunks(250) {
        let redrives: Vec<Redrive> = page.iter().copied().map(redrive).collect();
        store.redrive(&redrives, &RedriveOrder::by("ann")).await?;
    }
    // Postgres counts what a session has read when the session ends.
    store.close().await;
    const LOOKED_UP: &str = "SELECT idx_scan FROM pg_stat_user_tables WHERE relname = 'redrives'";
    until("the session has ended", Duration::from_secs(20), async || {
        let looked_up = database.number(LOOKED_UP).await?;
        Ok(Seen::when(looked_up >= 2500, || format!("{looked_up} were looked up")))
    })
    .await?;
    const READ: &str =
        "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'redrives'";
    let read = database.number(READ).await?;
    assert!(read < 2500, "{read} rows were read to find none");
    Ok(())
}

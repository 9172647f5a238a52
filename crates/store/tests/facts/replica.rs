//! Lists that are read from a replica.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sqlx::PgPool;
use store::{JobFilter, Scope, Settings, Store, SubmissionFilter};
use testkit::{Place, Postgres, PostgresOptions, StopMode, TempFolder};
use uuid::Uuid;

use crate::database::{Database, new_job, rubric};

const PATIENCE: Duration = Duration::from_secs(30);

struct Pair {
    store: Store,
    replica: Postgres,
    /// Of the replica.
    sql: PgPool,
    _primary: Postgres,
    _folders: [TempFolder; 2],
}

async fn pair() -> Result<Pair> {
    let folders = [TempFolder::new()?, TempFolder::new()?];
    let [first, second] = folders.each_ref().map(|folder| Place::owned(folder.path()));
    let primary = Postgres::start(&first, &PostgresOptions::default()).await?;
    store::migrate(&primary.url()).await?;
    let replica = Postgres::follow(&second, &primary).await?;
    let settings = Settings { replica_url: Some(replica.url()), ..Settings::new(primary.url()) };
    let store = Store::connect(&settings)?;
    store.ensure_rubrics(&[rubric("default", "1")]).await?;
    store.prepare_row_security(&primary.url()).await?;
    let sql = PgPool::connect(&replica.url()).await?;
    Ok(Pair { store, replica, sql, _primary: primary, _folders: folders })
}

/// Waits until the lists show as many jobs.
async fn until_listed(store: &Store, jobs: usize) -> Result<()> {
    let started = Instant::now();
    loop {
        let listed = store.jobs(&JobFilter::default(), None, 10).await?.jobs.len();
        if listed == jobs {
            return Ok(());
        }
        ensure!(started.elapsed() < PATIENCE, "{listed} of {jobs} are listed");
    }
}

async fn submit(store: &Store) -> Result<()> {
    let id = uuid::Uuid::now_v7();
    store.create_submission(id, "default", Some("ann"), r#"{"code": "1"}"#, true).await?;
    store.accept(&[new_job(id)]).await?;
    Ok(())
}

#[tokio::test]
async fn lists_are_read_from_a_replica_and_from_the_primary_while_it_is_away() -> Result<()> {
    let pair = pair().await?;
    let store = &pair.store;
    submit(store).await?;
    until_listed(store, 1).await?;
    let learner = store.within(Scope::Owner { tenant: "default".to_owned(), owner: "ann".to_owned() });
    assert_eq!(learner.submissions(&SubmissionFilter::default(), None, 10).await?.submissions.len(), 1);

    // What the replica does not know yet is not listed, and is found all the same by whoever has its id.
    sqlx::raw_sql("SELECT pg_wal_replay_pause()").execute(&pair.sql).await?;
    submit(store).await?;
    let listed = store.jobs(&JobFilter::default(), None, 10).await?.jobs;
    assert_eq!(listed.len(), 1, "the primary was asked");
    store.job(listed[0].id).await?.context("the job")?;
    sqlx::raw_sql("SELECT pg_wal_replay_resume()").execute(&pair.sql).await?;
    until_listed(store, 2).await?;

    pair.replica.stop(StopMode::Immediate).await?;
    let begun = Instant::now();
    assert_eq!(store.jobs(&JobFilter::default(), None, 10).await?.jobs.len(), 2);
    ensure!(begun.elapsed() < Duration::from_secs(2), "it took {:?}", begun.elapsed());
    submit(store).await?;
    let begun = Instant::now();
    assert_eq!(store.jobs(&JobFilter::default(), None, 10).await?.jobs.len(), 3);
    ensure!(begun.elapsed() < Duration::from_millis(500), "a replica that is away is asked again and again");
    Ok(())
}

#[tokio::test]
async fn a_replica_that_cannot_be_used_costs_no_list() -> Result<()> {
    let (database, without_tables) = (Database::fresh().await?, testkit::fresh_database().await?);
    let settings = Settings { replica_url: Some(without_tables), ..Settings::new(&database.url) };
    let store = Store::connect(&settings)?;
    submit(&store).await?;
    assert_eq!(store.jobs(&JobFilter::default(), None, 10).await?.jobs.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_standby_is_not_worked_with_until_it_is_promoted() -> Result<()> {
    let pair = pair().await?;
    let settings =
        Settings { acquire_timeout: Duration::from_millis(300), ..Settings::new(pair.replica.url()) };
    let store = Store::connect(&settings)?;
    assert!(
        store.ping().await.is_err_and(|error| error.is_unavailable()),
        "it could be read, and not written"
    );
    assert!(store.check_schema().await.is_err(), "nothing is ready on it");
    sqlx::query("SELECT pg_promote()").execute(&pair.sql).await?;
    store.check_schema().await?;
    store.create_submission(Uuid::now_v7(), "default", None, "{}", true).await?;
    Ok(())
}

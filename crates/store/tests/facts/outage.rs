//! When Postgres is away, stalls, or comes back.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use domain::JobStatus;
use sqlx::PgPool;
use store::{Finished, Settings, Store, StoreError};
use testkit::{Link, Place, Postgres, PostgresOptions, StopMode, TempFolder, Weather};
use tokio::task::JoinSet;

use crate::batches::new_batch;
use crate::database::{Database, done, finish, new_job};

/// A server of the test's own, that it may stop.
async fn server() -> Result<(Postgres, TempFolder)> {
    let folder = TempFolder::new()?;
    let place = Place::owned(folder.path());
    Ok((Postgres::start(&place, &PostgresOptions::default()).await?, folder))
}

/// Waits until the store works again, as its callers do: by trying.
async fn recovered(store: &Store) -> Result<()> {
    let started = Instant::now();
    while let Err(error) = store.ping().await {
        anyhow::ensure!(error.is_unavailable() && started.elapsed() < Duration::from_secs(30), "{error:?}");
    }
    Ok(())
}

/// Waits until as many statements wait for a lock in this database.
pub(crate) async fn until_waiting(sql: &PgPool, statements: i64) -> Result<()> {
    const WAITS: &str = "SELECT count(*) FROM pg_stat_activity \
                         WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let started = Instant::now();
    loop {
        let waiting: i64 = sqlx::query_scalar(WAITS).fetch_one(sql).await?;
        if waiting == statements {
            return Ok(());
        }
        anyhow::ensure!(started.elapsed() < Duration::from_secs(30), "{waiting} statements wait");
    }
}

#[tokio::test]
async fn a_service_starts_while_postgres_is_away() -> Result<()> {
    let port = testkit::free_port()?;
    let settings = Settings {
        acquire_timeout: Duration::from_millis(300),
        ..Settings::new(format!("postgres://nobody@127.0.0.1:{port}/none"))
    };
    let store = Store::connect(&settings)?;
    let started = Instant::now();
    assert!(store.ping().await.is_err_and(|error| error.is_unavailable()));
    assert!(started.elapsed() < Duration::from_secs(3));
    Ok(())
}

#[tokio::test]
async fn a_stopped_postgres_is_unavailable_and_the_store_recovers() -> Result<()> {
    let (server, _folder) = server().await?;
    let database = Database::prepared(server.url()).await?;
    let (job, submission) = (database.running(1).await?, database.submission().await?);
    server.stop(StopMode::Immediate).await?;
    let started = Instant::now();
    let accepted = database.store.accept(&[new_job(submission)]).await;
    assert!(accepted.is_err_and(|error| error.is_unavailable()));
    let finished = database.store.finish(&[finish(job, 1, done())]).await;
    assert!(finished.is_err_and(|error| error.is_unavailable()));
    assert!(started.elapsed() < Duration::from_secs(12), "two calls of 5 s: {:?}", started.elapsed());
    server.start_again().await?;
    recovered(&database.store).await?;
    database.accepted(&new_job(submission)).await?;
    database.store.finish(&[finish(job, 1, done())]).await?.pop().context("an answer")??;
    assert_eq!(database.row(job).await?.status, JobStatus::Done);
    Ok(())
}

#[tokio::test]
async fn nobody_meets_the_dead_connections_that_a_restart_leaves() -> Result<()> {
    let (server, _folder) = server().await?;
    let database = Database::prepared(server.url()).await?;
    let store = &database.store;
    tokio::try_join!(store.ping(), store.ping(), store.ping())?;
    server.restart(StopMode::Fast).await?;
    tokio::time::sleep(Duration::from_millis(600)).await;
    tokio::try_join!(store.ping(), store.ping(), store.ping())?;
    Ok(())
}

#[tokio::test]
async fn a_stalled_postgres_answers_with_an_error_in_time_and_the_store_recovers() -> Result<()> {
    let database = Database::fresh().await?;
    let (link, linked) = Link::to_url(&database.url, Weather::Fair).await?;
    let store = Store::connect(&Settings {
        deadline: Duration::from_secs(1),
        max_connections: 2,
        ..Settings::new(&linked)
    })?;
    let job = database.queued().await?;
    store.ping().await?;
    link.set(Weather::Stalled);
    let started = Instant::now();
    // More calls than connections: none of them may be held up by those that were abandoned.
    for _ in 0..4 {
        let read = store.job(job).await;
        assert!(matches!(&read, Err(StoreError::Unavailable(_))), "{read:?}");
    }
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    link.set(Weather::Fair);
    recovered(&store).await?;
    assert!(store.job(job).await?.is_some());
    Ok(())
}

#[tokio::test]
async fn an_address_that_leads_elsewhere_is_followed_although_the_old_peer_is_silent() -> Result<()> {
    let ((first, _folder), (second, _other_folder)) = tokio::try_join!(server(), server())?;
    let (link, linked) = Link::to_url(&first.url(), Weather::Fair).await?;
    let database = Database::prepared(first.url()).await?;
    let successor = Database::prepared(second.url()).await?;
    let job = successor.queued().await?;
    let settings = Settings { application_name: "linked".to_owned(), ..Settings::new(&linked) };
    let store = Store::connect(&settings)?;
    // A pool of many connections, idle for long enough to be tested before use.
    let mut pings = JoinSet::new();
    for _ in 0..100 {
        let store = store.clone();
        pings.spawn(async move { store.ping().await });
    }
    pings.join_all().await.into_iter().collect::<Result<Vec<()>, StoreError>>()?;
    const OPEN: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'linked'";
    let open: i64 = sqlx::query_scalar(OPEN).fetch_one(&database.sql).await?;
    anyhow::ensure!(open > 2, "only {open} connections");
    tokio::time::sleep(Duration::from_millis(600)).await;

    link.lead_to(second.port());
    let started = Instant::now();
    for _ in 0..settings.max_connections {
        assert!(store.job(job).await?.is_some(), "nobody meets a dead connection");
    }
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_migration_does_not_wait_for_a_server_that_never_answers() -> Result<()> {
    let (_link, linked) = Link::to_url(&testkit::postgres_url().await?, Weather::Stalled).await?;
    let started = Instant::now();
    store::migrate(&linked).await.expect_err("nobody answers");
    assert!(started.elapsed() < Duration::from_secs(7), "{:?}", started.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_verdict_whose_answer_the_network_swallowed_is_found_by_the_retry() -> Result<()> {
    let database = Database::fresh().await?;
    let (link, linked) = Link::to_url(&database.url, Weather::Fair).await?;
    let settings = Settings { deadline: Duration::from_secs(1), ..Settings::new(&linked) };
    let store = Store::connect(&settings)?;
    let job = database.running(1).await?;
    store.ping().await?;
    // A lock held by another session keeps the statement from answering until the network has stalled.
    let mut other = database.sql.begin().await?;
    sqlx::query("SELECT id FROM scoring_jobs FOR UPDATE").execute(&mut *other).await?;
    let requests = [finish(job, 1, done())];
    let (finished, released) = tokio::join!(store.finish(&requests), async {
        let waits = until_waiting(&database.sql, 1).await;
        link.set(Weather::Stalled);
        other.commit().await?;
        waits
    });
    released?;
    assert!(finished.is_err_and(|error| error.is_unavailable()));
    link.set(Weather::Fair);
    let found = store.finish(&requests).await?.pop().context("an answer")??;
    assert_eq!(found, Finished::Recorded { status: JobStatus::Done, retry_after: None });
    assert_eq!(database.store.attempts(job).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_transaction_whose_client_is_gone_without_a_word_holds_no_submission_for_long() -> Result<()> {
    let database = Database::fresh().await?;
    let (link, linked) = Link::to_url(&database.url, Weather::Fair).await?;
    let store = Store::connect(&Settings { deadline: Duration::from_secs(1), ..Settings::new(&linked) })?;
    let submission = database.submission().await?;
    store.ping().await?;
    // The batch is inserted, and its member waits for the submission until the network has stalled.
    let mut other = database.sql.begin().await?;
    sqlx::query("SELECT id FROM submissions FOR UPDATE").execute(&mut *other).await?;
    let batch = new_batch(vec![submission]);
    let (accepted, released) = tokio::join!(store.accept_batch(&batch), async {
        let waits = until_waiting(&database.sql, 1).await;
        link.set(Weather::Stalled);
        other.commit().await?;
        waits
    });
    released?;
    assert!(accepted.is_err_and(|error| error.is_unavailable()));
    // Nobody will ever commit or roll back. Whoever asks for the same submission must not wait for that.
    database.accepted(&new_job(submission)).await.map(drop)
}

#[tokio::test]
async fn a_statement_that_nobody_waits_for_any_longer_ends() -> Result<()> {
    let database = Database::fresh().await?;
    let settings = Settings { deadline: Duration::from_millis(500), ..Settings::new(&database.url) };
    let store = Store::connect(&settings)?;
    let job = database.running(1).await?;
    let mut other = database.sql.begin().await?;
    sqlx::query("SELECT id FROM scoring_jobs FOR UPDATE").execute(&mut *other).await?;
    let finished = store.finish(&[finish(job, 1, done())]).await;
    assert!(finished.is_err_and(|error| error.is_unavailable()));
    until_waiting(&database.sql, 0).await?;
    other.commit().await?;
    assert_eq!(database.row(job).await?.status, JobStatus::Running, "the abandoned statement did not go on");
    Ok(())
}

#[tokio::test]
async fn a_call_given_up_by_its_caller_does_not_harm_the_next() -> Result<()> {
    let database = Database::fresh().await?;
    let store = Store::connect(&Settings { max_connections: 1, ..Settings::new(&database.url) })?;
    let job = database.queued().await?;
    for _ in 0..20 {
        let given_up = tokio::time::timeout(Duration::from_micros(300), store.job(job)).await;
        drop(given_up);
    }
    assert!(store.job(job).await?.is_some());
    Ok(())
}

#[tokio::test]
async fn a_closed_store_is_unavailable() -> Result<()> {
    let database = Database::fresh().await?;
    database.store.close().await;
    assert!(database.store.ping().await.is_err_and(|error| error.is_unavailable()));
    Ok(())
}

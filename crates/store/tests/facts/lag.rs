//! How far what is shown lags behind the record, and how long jobs waited.

use std::time::Duration;

use anyhow::{Context, Result};
use domain::Knobs;
use store::{Lag, NewJob, Started, Work};

use crate::database::{Database, new_job, resource};

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

const ACCEPTED_AN_HOUR_AGO: &str = "UPDATE scoring_jobs SET created_at = now() - INTERVAL '1 hour'";
const STARTED_A_MINUTE_AGO: &str =
    "UPDATE scoring_jobs SET started_at = now() - INTERVAL '1 minute' WHERE started_at IS NOT NULL";

#[tokio::test]
async fn what_has_no_resource_yet_lags_since_it_was_accepted_and_a_status_since_its_row_changed() -> Result<()>
{
    let database = Database::fresh().await?;
    assert_eq!(database.store.lag().await?, Lag::default(), "nothing lags");

    database.queued().await?;
    let resource = resource("mine");
    let job = NewJob { id: resource.uid, resource: Some(resource), ..new_job(database.submission().await?) };
    let job = database.accepted(&job).await?;
    rewrite(&database, ACCEPTED_AN_HOUR_AGO).await?;
    let lag = database.store.lag().await?;
    assert!(about(lag.resource, HOUR) && about(lag.status, HOUR), "{lag:?}");

    database.start(job, 1).await?;
    rewrite(&database, STARTED_A_MINUTE_AGO).await?;
    let lag = database.store.lag().await?;
    assert!(about(lag.status, MINUTE), "it counts from the last change: {lag:?}");
    database.store.mark_status_mirrored(&[(job, database.row(job).await?.version)]).await?;
    assert_eq!(database.store.lag().await?.status, Duration::ZERO, "all is shown");
    Ok(())
}

#[tokio::test]
async fn an_attempt_knows_how_long_its_job_was_due_and_how_old_it_is() -> Result<()> {
    let database = Database::fresh().await?;
    let at_once = database.queued().await?;
    rewrite(&database, ACCEPTED_AN_HOUR_AGO).await?;
    let work = started(&database, at_once).await?;
    assert!(about(work.waited, HOUR) && about(work.age, HOUR), "{work:?}");

    let knobs = Knobs { not_before: Some(jiff::Timestamp::now() - MINUTE), ..Knobs::default() };
    let traceparent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned());
    let new = NewJob { knobs, traceparent: traceparent.clone(), ..new_job(database.submission().await?) };
    let delayed = database.accepted(&new).await?;
    rewrite(&database, ACCEPTED_AN_HOUR_AGO).await?;
    let work = started(&database, delayed).await?;
    assert!(about(work.waited, MINUTE) && about(work.age, HOUR), "{work:?}");
    assert_eq!(work.traceparent, traceparent);
    Ok(())
}

#[tokio::test]
async fn who_notes_that_jobs_are_queued_learns_how_long_they_waited_for_it() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.queued().await?;
    database.run("UPDATE scoring_unqueued SET since = now() - INTERVAL '1 minute'").await?;
    let waits = database.store.mark_queued(&[job]).await?;
    assert!(matches!(waits[..], [waited] if about(waited, MINUTE)), "{waits:?}");
    Ok(())
}

/// Has history rewritten, which no statement of ours may.
async fn rewrite(database: &Database, statement: &'static str) -> Result<()> {
    database.run("ALTER TABLE scoring_jobs DISABLE TRIGGER scoring_jobs_history_is_final").await?;
    database.run(statement).await?;
    Ok(())
}

async fn started(database: &Database, job: domain::JobId) -> Result<Work> {
    match database.start(job, 1).await? {
        Started::Started { work, .. } => Some(work),
        _ => None,
    }
    .context("an attempt begins")
}

fn about(found: Duration, expected: Duration) -> bool {
    (expected..expected + MINUTE / 2).contains(&found)
}

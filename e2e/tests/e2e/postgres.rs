//! Postgres crashes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::world::{self, PATIENCE};
use e2e::{Seen, World, sources, until};
use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use testkit::{Place, Postgres, PostgresOptions, StopMode, TempFolder};
use tokio::time::sleep;
use uuid::Uuid;

const SUBMISSIONS: usize = 300;
const CLIENTS: usize = 8;

/// Asks as a client does: what is answered 503 is asked again.
async fn ask_until_accepted(world: &World, submission: Uuid, refused: &AtomicUsize) -> Result<Uuid> {
    loop {
        let answer = world.api.ask(&json!({ "submissionId": submission, "rubric": "quick" })).await?;
        match answer.status {
            200 | 202 => return answer.job(),
            503 => {
                let seconds: u32 =
                    answer.retry_after.as_deref().context("503 without Retry-After")?.parse()?;
                ensure!(seconds > 0, "Retry-After: {seconds}");
                assert_eq!(answer.code(), "database_unavailable");
                refused.fetch_add(1, Ordering::Relaxed);
                // Sooner than asked for, to keep up the load.
                sleep(Duration::from_millis(50)).await;
            }
            _ => bail!("neither accepted nor 503: {answer:?}"),
        }
    }
}

#[tokio::test]
async fn a_crash_of_postgres_under_load_is_answered_503_and_loses_nothing() -> Result<()> {
    let folder = TempFolder::new()?;
    let postgres = Postgres::start(&Place::owned(folder.path()), &PostgresOptions::default()).await?;
    let stack = world::stack().database_url(Some(postgres.url()));
    world::with(stack, async |world| {
        let submissions: Vec<Uuid> = stream::iter(0..SUBMISSIONS)
            .map(|number| async move { world.api.submit(&sources::python(number)).await })
            .buffered(CLIENTS)
            .try_collect()
            .await?;
        let (refused, accepted) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let clients = submissions.chunks(SUBMISSIONS.div_ceil(CLIENTS)).map(async |mine| {
            let mut jobs = Vec::new();
            for submission in mine {
                jobs.push(ask_until_accepted(world, *submission, &refused).await?);
                accepted.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(jobs)
        });
        let crash = async {
            until("a third is accepted", PATIENCE, async || {
                let accepted = accepted.load(Ordering::Relaxed);
                Ok(Seen::when(accepted >= SUBMISSIONS / 3, || format!("{accepted} accepted")))
            })
            .await?;
            postgres.stop(StopMode::Immediate).await?;
            until("every client was answered 503", PATIENCE, async || {
                let refused = refused.load(Ordering::Relaxed);
                Ok(Seen::when(refused >= 2 * CLIENTS, || format!("{refused} times 503")))
            })
            .await?;
            postgres.start_again().await
        };
        let (jobs, ()) = tokio::try_join!(try_join_all(clients), crash)?;
        let jobs: Vec<Uuid> = jobs.into_iter().flatten().collect();
        world.database.until_done(SUBMISSIONS, PATIENCE).await?;
        assert_eq!(world.database.jobs().await?.len(), SUBMISSIONS);
        world.no_attempt_was_spent_in_vain().await?;
        world.is_in_order(&jobs).await
    })
    .await
}

//! How many jobs a second Postgres accepts, starts and finishes: `cargo run -p store --example rates`.
//!
//! Measures on the Postgres of `ASSAY_TEST_DATABASE_URL`, or on one of its own, in a new database. Arguments: how
//! many jobs (20,000), how many calls at once (1), `no-attempts-fk` to measure without that foreign key, `confined` to accept
//! and show for a caller who sees a tenant alone, `owned` for submissions that have owners, and `quota` to enforce one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::{Context, Result};
use domain::{Epoch, Knobs};
use sqlx::{Connection, PgConnection};
use store::{
    Accepted, Ending, FinishRequest, Finished, NewJob, Quota, RowSecurity, RubricVersion, Scope, Settings,
    StartRequest, Started, Store,
};
use uuid::Uuid;

const LOAD: &str = r#"
INSERT INTO submissions (status, owner, content)
SELECT 'SUBMITTED', $2, jsonb_build_object('language', 'python', 'code', '# ' || g || E'\n' ||
  repeat(E'def f(x):\n    """Adds one."""\n    return x + 1\n', 85), 'documentation', '# Notes')
FROM generate_series(1, $1) g RETURNING id"#;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: i32| arguments.get(at).map_or(Ok(default), |text| text.parse());
    let (jobs, at_once) = (number(0, 20_000)?, number(1, 1)?);
    let url = testkit::fresh_database().await?;
    store::migrate(&url).await?;
    let told = |word: &str| arguments.iter().any(|argument| argument == word);
    let quota = if told("quota") { Quota::Enforced(1_000_000) } else { Quota::NotAsked };
    let store = Store::connect(&Settings { quota, ..Settings::new(&url) })?;
    let scope = if told("confined") { Scope::Tenant("default".to_owned()) } else { Scope::All };
    anyhow::ensure!(store.prepare_row_security(&url).await? == RowSecurity::On);
    let rubric = RubricVersion { name: "default".to_owned(), version: "1".to_owned(), spec: "{}".to_owned() };
    store.ensure_rubrics(&[rubric]).await?;
    let mut connection = PgConnection::connect(&url).await?;
    if told("no-attempts-fk") {
        sqlx::query("ALTER TABLE scoring_attempts DROP CONSTRAINT scoring_attempts_job_exists")
            .execute(&mut connection)
            .await?;
    }
    let owner = told("owned").then_some("ann");
    let load = sqlx::query_as(LOAD).bind(jobs).bind(owner);
    let submissions: Vec<(Uuid,)> = load.fetch_all(&mut connection).await?;
    sqlx::query("ANALYZE").execute(&mut connection).await?;

    println!("{jobs} submissions are there");
    let new: Vec<NewJob> = submissions.iter().map(|(submission,)| new_job(*submission, &scope)).collect();
    let ids: Vec<Uuid> = new.iter().map(|job| job.id).collect();
    let seconds = in_batches(new, 64, at_once, async |batch| {
        let accepted = store.accept(&batch).await?;
        anyhow::ensure!(accepted.iter().all(|a| matches!(a, Ok(Accepted::Created { .. }))));
        Ok(())
    })
    .await?;
    report("accept, batches of 64", jobs, seconds);

    let (seen, started) = (store.within(scope), Instant::now());
    for job in ids.iter().take(2_000) {
        anyhow::ensure!(seen.job(*job).await?.is_some());
    }
    report("show, one by one", 2_000, started.elapsed().as_secs_f64());

    let started = Instant::now();
    for batch in ids.chunks(500) {
        store.mark_queued(batch).await?;
    }
    report("mark queued, batches of 500", jobs, started.elapsed().as_secs_f64());

    let seconds = in_batches(ids, 50, at_once, async |batch| start_and_finish(&store, &batch).await).await?;
    report("start and finish, batches of 50", jobs, seconds);
    Ok(())
}

async fn start_and_finish(store: &Store, jobs: &[Uuid]) -> Result<()> {
    let start = |job: &Uuid| StartRequest {
        job: *job,
        epoch: Epoch(1),
        expired: Epoch::NONE,
        scorer: "scorer-0".to_owned(),
    };
    let started = store.start(&jobs.iter().map(start).collect::<Vec<_>>()).await?;
    anyhow::ensure!(started.iter().all(|s| matches!(s, Started::Started { .. })));
    let finish = |job: &Uuid| FinishRequest {
        job: *job,
        epoch: Epoch(1),
        ending: Ending::Done {
            score: 87.5,
            feedback: "Eight of ten criteria are met; two functions are not documented.".to_owned(),
            result: r#"{"tests":[{"name":"documented","score":7.5,"max_score":10,"output":"f, g"}]}"#
                .to_owned(),
        },
    };
    let finished = store.finish(&jobs.iter().map(finish).collect::<Vec<_>>()).await?;
    anyhow::ensure!(finished.iter().all(|f| matches!(f, Ok(Finished::Recorded { .. }))));
    Ok(())
}

fn new_job(submission_id: Uuid, scope: &Scope) -> NewJob {
    NewJob {
        id: Uuid::now_v7(),
        submission_id,
        scope: scope.clone(),
        knobs: Knobs::default(),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
        resource: None,
    }
}

/// Works the items off in batches, several at once; the seconds it took.
async fn in_batches<T: Clone>(
    items: Vec<T>,
    size: usize,
    at_once: i32,
    work: impl AsyncFn(Vec<T>) -> Result<()>,
) -> Result<f64> {
    let batches: VecDeque<Vec<T>> = items.chunks(size).map(<[T]>::to_vec).collect();
    let batches = Arc::new(Mutex::new(batches));
    let started = Instant::now();
    let worker = async || {
        loop {
            let batch = batches.lock().ok().context("another worker panicked")?.pop_front();
            let Some(batch) = batch else { return anyhow::Ok(()) };
            work(batch).await?;
        }
    };
    match at_once {
        1 => worker().await?,
        2 => drop(tokio::try_join!(worker(), worker())?),
        _ => drop(tokio::try_join!(worker(), worker(), worker(), worker())?),
    }
    Ok(started.elapsed().as_secs_f64())
}

fn report(what: &str, jobs: i32, seconds: f64) {
    println!("{what}: {:.0}/s", f64::from(jobs) / seconds);
}

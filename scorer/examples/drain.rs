//! How many jobs a second one scorer takes off a full queue: `cargo run -p scorer --example drain`.
//!
//! Arguments: jobs (20,000), concurrency (50), rubric (quick). Postgres and Redis are those of
//! `ASSAY_TEST_DATABASE_URL` and `ASSAY_TEST_REDIS_URL`, or of its own; the database and the pool are new.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use domain::rubric::Rubric;
use domain::{Epoch, Knobs, Lane, LeaseSettings, Pool, Priority, Rank};
use queue::{Enqueue, Queue};
use runtime::Shutdown;
use sqlx::{Connection, PgConnection};
use store::{NewJob, RubricVersion, Scope, Store};
use tokio::net::TcpListener;
use uuid::Uuid;

const LOAD: &str = r#"
INSERT INTO submissions (status, content)
SELECT 'SUBMITTED', jsonb_build_object('language', 'python', 'code', '# ' || g || E'\n' ||
  repeat(E'def f(x):\n    """Adds one."""\n    return x + 1\n', 85), 'documentation', '# Notes')
FROM generate_series(1, $1) g RETURNING id"#;

const UNFINISHED: &str = "SELECT count(*) FROM scoring_jobs WHERE status IN ('QUEUED', 'RUNNING')";

#[derive(Parser)]
struct Arguments {
    #[arg(default_value_t = 20_000)]
    jobs: i32,
    #[arg(default_value_t = 50)]
    concurrency: usize,
    #[arg(default_value = "quick")]
    rubric: String,
}

#[derive(Parser)]
struct Scorer {
    #[command(flatten)]
    settings: scorer::Settings,
}

fn main() -> Result<()> {
    match scorer::Child::from_arguments(std::env::args().skip(1)) {
        Some(child) => child.run(),
        None => measure(),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn measure() -> Result<()> {
    let arguments = Arguments::parse();
    let (database, redis) = (testkit::fresh_database().await?, testkit::redis_url().await?);
    let pool: Pool = format!("drain-{}", Uuid::new_v4().simple()).parse()?;
    let mut sql = PgConnection::connect(&database).await?;
    fill(&arguments, &database, &redis, &pool, &mut sql).await?;

    let settings = Scorer::try_parse_from([
        "scorer",
        &format!("--database-url={database}"),
        &format!("--redis-url={redis}"),
        &format!("--pool={pool}"),
        &format!("--concurrency={}", arguments.concurrency),
    ])?
    .settings;
    if std::env::var_os("ASSAY_LOG").is_some() {
        settings.telemetry.start()?;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let metrics = listener.local_addr()?;
    let shutdown = Shutdown::default();
    let begun = Instant::now();
    let running = tokio::spawn(scorer::run(settings, listener, shutdown.clone()));
    loop {
        let (left,): (i64,) = sqlx::query_as(UNFINISHED).fetch_one(&mut sql).await?;
        if left == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let rate = f64::from(arguments.jobs) / begun.elapsed().as_secs_f64();
    println!("{} jobs, concurrency {}: {rate:.0} jobs/s", arguments.jobs, arguments.concurrency);
    let (_, text) = testkit::readiness::http_get(metrics.port(), "/metrics").await?;
    for line in text.lines().filter(|line| line.contains("batch_size_count")) {
        println!("{line}");
    }
    shutdown.request();
    running.await?
}

/// Puts jobs into Postgres and on the queue.
async fn fill(
    arguments: &Arguments,
    database: &str,
    redis: &str,
    pool: &Pool,
    sql: &mut PgConnection,
) -> Result<()> {
    store::migrate(database).await?;
    let store = Store::connect(&store::Settings::new(database))?;
    let rubric = Rubric::builtin(&arguments.rubric).context("there is no such built-in rubric")?;
    let version = RubricVersion {
        name: arguments.rubric.clone(),
        version: rubric.version().to_owned(),
        spec: rubric.to_json().to_string(),
    };
    store.ensure_rubrics(&[version]).await?;
    let submissions: Vec<(Uuid,)> = sqlx::query_as(LOAD).bind(arguments.jobs).fetch_all(&mut *sql).await?;
    let knobs = Knobs { rubric: arguments.rubric.clone(), pool: pool.clone(), ..Knobs::default() };
    let queue = Queue::connect(redis, LeaseSettings::renewed_by_thirds(Duration::from_secs(30))?)?;
    for some in submissions.chunks(1000) {
        let jobs: Vec<NewJob> = some
            .iter()
            .map(|(submission_id,)| NewJob {
                id: Uuid::now_v7(),
                submission_id: *submission_id,
                scope: Scope::All,
                knobs: knobs.clone(),
                traceparent: None,
                resource: None,
            })
            .collect();
        let accepted = store.accept(&jobs).await?;
        anyhow::ensure!(accepted.iter().all(Result::is_ok), "not all jobs were accepted");
        let place = |job: &NewJob| Enqueue {
            job: job.id,
            rank: Rank::new(Lane::of("default"), Priority::default(), 0),
            delay: Duration::ZERO,
            epoch: Epoch::NONE,
            leased: false,
        };
        queue.enqueue(pool, &jobs.iter().map(place).collect::<Vec<_>>()).await?;
    }
    sqlx::query("ANALYZE").execute(&mut *sql).await?;
    Ok(())
}

//! `dev bench`: POST rate, drain and the time of a lone job, on stacks of its own, printed beside what the machine is.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use sqlx::{Connection, PgConnection};
use testkit::Stack;

use crate::client::Client;
use crate::http_load::{self, Load};

/// A Python file of about 5 KB for each submission, as in the project's other measurements.
const PRELOAD: &str = r#"
    insert into submissions (status, content)
    select 'SUBMITTED', jsonb_build_object(
        'language', 'python',
        'code', '# ' || n || E'\n' || repeat(E'def f(x):\n    """Adds one."""\n    return x + 1\n', 85),
        'documentation', '# Notes')
    from generate_series(1, $1) n
    returning id::text"#;

/// How much to measure.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Most submissions to POST in a round.
    #[arg(long, env = "BENCH_JOBS", default_value_t = 60_000)]
    jobs: i32,
    /// Longest time to POST in a round, in seconds.
    #[arg(long, env = "BENCH_SECONDS", default_value_t = 5)]
    seconds: u64,
    /// Concurrencies of the scorer, a round for each.
    #[arg(long, env = "BENCH_CONCURRENCY", value_delimiter = ',', default_value = "5,50")]
    concurrency: Vec<u32>,
    /// The rubric.
    #[arg(long, env = "BENCH_RUBRIC", default_value = "quick")]
    rubric: String,
}

/// Measures and prints.
pub(crate) async fn bench(options: &Options) -> Result<()> {
    println!("{}", machine());
    for concurrency in &options.concurrency {
        round(options, *concurrency)
            .await
            .with_context(|| format!("measure at concurrency {concurrency}"))?;
    }
    Ok(())
}

async fn round(options: &Options, concurrency: u32) -> Result<()> {
    let stack = Stack::builder().scorer_env("ASSAY_CONCURRENCY", &concurrency.to_string()).start().await?;
    let mut database =
        PgConnection::connect(&stack.servers.database_url).await.context("connect to Postgres")?;
    println!("\nOne scorer, concurrency {concurrency}, rubric {}", options.rubric);
    lone_jobs(&stack, &mut database, options).await?;

    let bodies = preload(&mut database, options.jobs, &options.rubric).await?;
    // The scorer stands still while POSTs are measured, and then finds all of them queued.
    stack.scorers[0].pause().await?;
    let posted = http_load::send(Load {
        port: stack.gateways[0].url().rsplit(':').next().context("no port")?.parse()?,
        path: "/api/scoring",
        token: stack.token.clone(),
        bodies,
        connections: 64,
        limit: Duration::from_secs(options.seconds),
    })
    .await?;
    println!(
        "  POST            {:>9.0}/s   64 connections, p50 {:.1} ms, p99 {:.1} ms, {} requests, answers {:?}",
        posted.rate(),
        milliseconds(posted.percentile(0.50)),
        milliseconds(posted.percentile(0.99)),
        posted.count(),
        posted.statuses
    );
    let queued = unfinished(&mut database).await?;
    let queueing = until_queued(&stack, queued).await?;
    println!("  all on Redis    {:>9.1} s   after the last POST", queueing.as_secs_f64());

    let started = Instant::now();
    stack.scorers[0].resume()?;
    until_drained(&mut database).await?;
    let took = started.elapsed();
    println!(
        "  drain           {:>9.0}/s   {queued} jobs in {:.1} s",
        queued as f64 / took.as_secs_f64(),
        took.as_secs_f64()
    );
    let (failed,): (i64,) = sqlx::query_as("select count(*) from scoring_jobs where status <> 'DONE'")
        .fetch_one(&mut database)
        .await?;
    if failed > 0 {
        bail!("{failed} jobs did not end in DONE");
    }
    Ok(())
}

/// From POST to DONE with nothing else going on.
async fn lone_jobs(stack: &Stack, database: &mut PgConnection, options: &Options) -> Result<()> {
    let client = Client::new(&stack.url(), &stack.token)?;
    let mut times = Vec::new();
    for (id,) in sqlx::query_as::<_, (String,)>(PRELOAD).bind(30).fetch_all(&mut *database).await? {
        let started = Instant::now();
        let job = client.score(&id, &options.rubric).await?;
        while !client.job(&job).await?.has_ended() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        times.push(started.elapsed());
    }
    times.sort_unstable();
    let at = |share: usize| milliseconds(times[(times.len() * share / 100).min(times.len() - 1)]);
    println!(
        "  lone job        {:>9.1} ms  POST to DONE, median of {}; p90 {:.1} ms",
        at(50),
        times.len(),
        at(90)
    );
    Ok(())
}

async fn preload(database: &mut PgConnection, count: i32, rubric: &str) -> Result<Vec<String>> {
    let ids: Vec<(String,)> =
        sqlx::query_as(PRELOAD).bind(count).fetch_all(&mut *database).await.context("load submissions")?;
    sqlx::query("analyze").execute(&mut *database).await?;
    Ok(ids.into_iter().map(|(id,)| format!(r#"{{"submissionId":"{id}","rubric":"{rubric}"}}"#)).collect())
}

async fn unfinished(database: &mut PgConnection) -> Result<i64> {
    let count = "select count(*) from scoring_jobs where status in ('QUEUED', 'RUNNING')";
    Ok(sqlx::query_as::<_, (i64,)>(count).fetch_one(database).await?.0)
}

/// Waits until this many jobs are ready on Redis: how long.
async fn until_queued(stack: &Stack, jobs: i64) -> Result<Duration> {
    const READY: &str = r#"EVAL "local n = 0 for _, key in ipairs(redis.call('KEYS', '*ready*')) do n = n + redis.call('ZCARD', key) end return n" 0"#;
    let started = Instant::now();
    loop {
        let ready = stack.own_redis()?.command(READY).await?;
        let ready: i64 =
            ready.trim_start_matches(':').parse().with_context(|| format!("a count, not {ready}"))?;
        // A scorer that was paused in the middle of a claim may hold a few.
        if ready + 200 >= jobs {
            return Ok(started.elapsed());
        }
        if started.elapsed() > Duration::from_secs(300) {
            bail!("{ready} of {jobs} jobs are on Redis after 300 s");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn until_drained(database: &mut PgConnection) -> Result<()> {
    let (mut left, mut last_change) = (i64::MAX, Instant::now());
    loop {
        let now = unfinished(database).await?;
        if now == 0 {
            return Ok(());
        }
        if now != left {
            (left, last_change) = (now, Instant::now());
        }
        if last_change.elapsed() > Duration::from_secs(60) {
            bail!("{now} jobs are left and none has ended for 60 s");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// What this machine is, in a line.
fn machine() -> String {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let memory = field(&read("/proc/meminfo"), "MemTotal")
        .and_then(|total| total.split(' ').next()?.parse::<u64>().ok())
        .map_or_else(|| "unknown memory".to_owned(), |total| format!("{} GiB", total.div_ceil(1024 * 1024)));
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("Machine: {cores} cores of {model}, {memory}, Linux {}; everything on it", kernel.trim())
}

//! `dev submit`: submits the source files of a folder and prints their scores.

use std::fs;
use std::io::{IsTerminal, Write, stdout};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt, stream};

use crate::client::{Client, Job};
use crate::dot_dev::DotDev;
use crate::sources::{self, Source};

/// Requests on their way at the same time.
const AT_A_TIME: usize = 16;

/// Longest wait without any job ending.
const PATIENCE: Duration = Duration::from_secs(180);

/// A source file and what became of it.
pub(crate) struct Scored {
    pub(crate) path: String,
    pub(crate) job_id: String,
    pub(crate) job: Job,
}

/// Submits a folder to the running stack. The exit code says whether everything is DONE.
pub(crate) async fn submit(folder: &Path) -> Result<ExitCode> {
    let dot_dev = DotDev::of_this_checkout()?;
    let env = fs::read_to_string(dot_dev.env_file()).context("no stack is running: run `make up` first")?;
    let value = |name: &str| {
        let value =
            env.lines().find_map(|line| line.strip_prefix("export ")?.strip_prefix(name)?.strip_prefix('='));
        value.with_context(|| format!("no {name} in .dev/env: run `make up` again"))
    };
    let scored =
        submit_all(&Client::new(value("ASSAY_URL")?, value("ASSAY_TOKEN")?)?, sources::find(folder)?).await?;
    print_table(&scored);
    Ok(exit_code(&scored))
}

/// Submits source files, shows progress, and returns when every job has ended.
pub(crate) async fn submit_all(client: &Client, sources: Vec<Source>) -> Result<Vec<Scored>> {
    let total = sources.len();
    println!("Submitting {total} source files");
    let mut waiting: Vec<(String, String)> = stream::iter(sources)
        .map(async |source| {
            let id = client.submit(&source).await.with_context(|| format!("submit {}", source.path))?;
            anyhow::Ok((source.path, id))
        })
        .buffered(AT_A_TIME)
        .try_collect()
        .await?;
    let (started, mut last_end) = (Instant::now(), Instant::now());
    let mut scored: Vec<Scored> = Vec::new();
    let mut progress = Progress::new(total);
    while !waiting.is_empty() {
        let looked_at: Vec<Scored> = stream::iter(std::mem::take(&mut waiting))
            .map(async |(path, job_id)| {
                let job = client.job(&job_id).await?;
                anyhow::Ok(Scored { path, job_id, job })
            })
            .buffered(AT_A_TIME)
            .try_collect()
            .await?;
        let (ended, still): (Vec<_>, Vec<_>) =
            looked_at.into_iter().partition(|scored| scored.job.has_ended());
        if !ended.is_empty() {
            last_end = Instant::now();
        }
        scored.extend(ended);
        waiting = still.into_iter().map(|scored| (scored.path, scored.job_id)).collect();
        progress.show(scored.len());
        if last_end.elapsed() > PATIENCE {
            bail!("no job has ended for {PATIENCE:?}; {} of {total} are still waiting", waiting.len());
        }
        if !waiting.is_empty() {
            // The API offers no event to wait for.
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    }
    progress.end(started.elapsed());
    scored.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(scored)
}

/// Success when every job is DONE.
pub(crate) fn exit_code(scored: &[Scored]) -> ExitCode {
    let failed = scored.iter().filter(|scored| scored.job.status != "DONE").count();
    if failed > 0 {
        eprintln!("{failed} of {} jobs did not end in DONE", scored.len());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn print_table(scored: &[Scored]) {
    let width = scored.iter().map(|scored| scored.path.len()).max().unwrap_or(0).max(4);
    println!("\n{:width$}  {:>5}  STATUS", "PATH", "SCORE");
    for Scored { path, job, .. } in scored {
        let score = job.score.map(|score| format!("{score:.0}")).unwrap_or_default();
        let message = if job.status == "ERROR" { job.feedback.as_deref().unwrap_or_default() } else { "" };
        println!("{path:width$}  {score:>5}  {} {}", job.status, message.lines().next().unwrap_or_default());
    }
}

/// One line that changes on a terminal; elsewhere a line for every tenth part.
struct Progress {
    total: usize,
    shown: usize,
}

impl Progress {
    fn new(total: usize) -> Self {
        Self { total, shown: 0 }
    }

    fn show(&mut self, ended: usize) {
        if stdout().is_terminal() {
            print!("\r  {ended} of {} scored ", self.total);
            let _not_shown = stdout().flush();
        } else if (ended - self.shown) * 10 >= self.total && ended < self.total {
            println!("  {ended} of {} scored", self.total);
            self.shown = ended;
        }
    }

    fn end(&self, took: Duration) {
        let start = if stdout().is_terminal() { "\r" } else { "" };
        println!("{start}  {} of {} scored, in {:.1} s", self.total, self.total, took.as_secs_f64());
    }
}

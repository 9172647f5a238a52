//! `dev demo`: the whole way from source files to scores, on real servers, and back to nothing.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use testkit::{Seen, Stack};

use crate::client::Client;
use crate::dot_dev::DotDev;
use crate::settings::Settings;
use crate::submit::{Scored, exit_code, submit_all};
use crate::{down, sources, up};

/// Lines of the table of resources that are shown: the heading and as many jobs as fit beside the feedback.
const LINES_SHOWN: usize = 21;

/// How long resources may take to show what the gateway has said already.
const LAG: Duration = Duration::from_secs(30);

/// A line for each resource: when it ended, if it shows that.
const ENDS: &str = "--output=jsonpath={range .items[*]}{.status.completedAt}{\"\\n\"}{end}";

/// Runs the demo. The exit code says whether every job ended in DONE.
pub(crate) async fn demo(settings: &Settings, submissions: Option<&Path>) -> Result<ExitCode> {
    let dot_dev = DotDev::of_this_checkout()?;
    let folder = submissions.unwrap_or(dot_dev.root());
    let sources = sources::find(folder)?;
    // A stack that a person started with `make up` is theirs to stop.
    let stop_at_end = dot_dev.processes().iter().all(|(_, process)| process.is_none());
    let shown = tokio::select! {
        shown = show(settings, sources) => shown,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    if stop_at_end {
        println!("Stopping what was started");
        down::down().await?;
    }
    if let Ok(ExitCode::SUCCESS) = &shown {
        how_to_go_on();
    }
    shown
}

async fn show(settings: &Settings, sources: Vec<sources::Source>) -> Result<ExitCode> {
    let up = up::up(settings).await?;
    let scored = submit_all(&Client::new(&up.stack.url(), &up.stack.token)?, sources).await?;
    show_resources(&up.stack).await?;
    if let Some(Scored { path, job_id, job }) = most_telling(&scored) {
        let score = job.score.map(|score| format!(", score {score:.0}")).unwrap_or_default();
        println!("\nFeedback on {path} (job {job_id}{score}):");
        for line in job.feedback.as_deref().unwrap_or_default().lines() {
            println!("  {line}");
        }
    }
    println!();
    Ok(exit_code(&scored))
}

/// Shows the resources as a person would ask for them. Many at once share a ScoringBatch.
async fn show_resources(stack: &Stack) -> Result<()> {
    for kind in ["scoringjobs", "scoringbatches"] {
        testkit::until(format!("all {kind} show that they ended"), LAG, async || {
            let ends = stack.kubectl(&["get", kind, ENDS]).await?;
            let open = ends.lines().filter(|end| end.is_empty()).count();
            Ok(Seen::when(open == 0, || format!("{open} do not")))
        })
        .await?;
        let table = stack.kubectl(&["get", kind]).await?;
        if !table.is_empty() {
            println!("\n$ kubectl -n {} get {kind}", stack.namespace);
            print_head(&table);
        }
    }
    Ok(())
}

/// Prints the first lines of a long table.
fn print_head(table: &str) {
    for line in table.lines().take(LINES_SHOWN) {
        println!("{line}");
    }
    let left_out = table.lines().count().saturating_sub(LINES_SHOWN);
    if left_out > 0 {
        println!("... and {left_out} more");
    }
}

/// The job with the lowest score: its feedback has most to say.
fn most_telling(scored: &[Scored]) -> Option<&Scored> {
    let score = |scored: &Scored| scored.job.score.unwrap_or(-1.0);
    scored.iter().min_by(|one, other| score(one).total_cmp(&score(other)))
}

fn how_to_go_on() {
    println!("\nTo go on:");
    println!("  make up                          start the same stack and leave it running");
    println!("  make submit DIR=some/folder      score the source files of any folder");
    println!("  source .dev/env                  then, for one job in full:");
    println!("  $KUBECTL -n assay describe scoringjob NAME");
    println!("  make down                        stop it, leaving nothing behind");
}

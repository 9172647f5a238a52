//! Starts the operator, writes the manifests of its custom resources, or exports the history.

use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use operator::{ExportFlags, Settings};
use runtime::Shutdown;
use tokio::io::BufWriter;
use tokio::net::TcpListener;

/// Assay's operator: reconciles ScoringJobs and ScoringBatches, keeps the queue true to Postgres, and shows in
/// `.status` what became of each job.
#[derive(Parser)]
#[command(
    version,
    after_help = "`operator crds` writes the manifests of the custom resources instead; \
    `operator export-history` the jobs that retention has moved into the history, each as a line of JSON."
)]
struct Run {
    #[command(flatten)]
    settings: Settings,
}

/// Writes the manifests of the custom resources.
#[derive(Parser)]
#[command(name = "operator crds")]
struct Crds {
    /// The folder to write them into.
    #[arg(long, default_value = "crds")]
    folder: PathBuf,
}

/// Writes the jobs of the history to standard output, each as a line of JSON, in the order in which they came into it.
#[derive(Parser)]
#[command(name = "operator export-history")]
struct ExportHistory {
    #[command(flatten)]
    flags: ExportFlags,
}

fn main() -> anyhow::Result<()> {
    let words: Vec<_> = std::env::args_os().collect();
    // A parser of its own rather than a subcommand: what running needs is required, but not for this.
    if words.get(1).is_some_and(|word| word == "crds") {
        let crds = Crds::parse_from(&words[1..]);
        return operator::manifests::write(&crds.folder);
    }
    if words.get(1).is_some_and(|word| word == "export-history") {
        return export(&ExportHistory::parse_from(&words[1..]).flags);
    }
    run(Run::parse_from(words).settings)
}

#[tokio::main]
async fn export(flags: &ExportFlags) -> anyhow::Result<()> {
    let mut out = BufWriter::new(tokio::io::stdout());
    let jobs = operator::export(flags, &mut out).await?;
    eprintln!("{jobs} jobs");
    Ok(())
}

#[tokio::main]
async fn run(settings: Settings) -> anyhow::Result<()> {
    settings.telemetry.start()?;
    let traces = settings.telemetry.export_traces("assay-operator", env!("CARGO_PKG_VERSION"))?;
    let shutdown = Shutdown::on_signals()?;
    let listener = TcpListener::bind(settings.metrics_addr)
        .await
        .with_context(|| format!("cannot listen on {}", settings.metrics_addr))?;
    let ended = operator::run(settings, listener, shutdown).await;
    traces.flush().await;
    ended
}

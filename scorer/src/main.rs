//! Starts the scorer.

use anyhow::Context;
use clap::Parser;
use runtime::Shutdown;
use scorer::{Child, Settings};
use tokio::net::TcpListener;
use tokio::runtime::Builder;

/// Assay's scorer: claims jobs from the queue of one pool, scores them, and records what came of it.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    settings: Settings,
}

fn main() -> anyhow::Result<()> {
    if let Some(child) = Child::from_arguments(std::env::args().skip(1)) {
        return child.run();
    }
    let settings = Arguments::parse().settings;
    settings.telemetry.start()?;
    // One thread coordinates, others score, or other processes: jobs that arrive together are then handed on together, in one statement.
    // With several, the first of them would be on its way alone before the rest is there.
    let runtime = Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    let ended = runtime.block_on(async {
        let traces = settings.telemetry.export_traces("assay-scorer", env!("CARGO_PKG_VERSION"))?;
        let shutdown = Shutdown::on_signals()?;
        let listener = TcpListener::bind(settings.metrics_addr)
            .await
            .with_context(|| format!("cannot listen on {}", settings.metrics_addr))?;
        let ended = scorer::run(settings, listener, shutdown).await;
        traces.flush().await;
        ended
    });
    // A thread may still be scoring a job that was handed back. Nobody waits for it.
    runtime.shutdown_background();
    ended
}

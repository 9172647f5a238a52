//! `operator export-history`: the history as a line of JSON for each job.

use std::time::Duration;

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use store::{DatabaseFlags, Store};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::sleep;

/// What to export.
#[derive(Args, Clone, Debug)]
pub struct ExportFlags {
    /// Where Postgres is; the jobs are only read.
    #[command(flatten)]
    pub database: DatabaseFlags,
    /// Only jobs that ended at this time or later, such as 2026-01-01T00:00:00Z.
    #[arg(long)]
    pub from: Option<Timestamp>,
    /// Only jobs that ended before this time.
    #[arg(long)]
    pub until: Option<Timestamp>,
    /// Go on after the job whose line has this `cursor`. Jobs that come into the history later have higher ones.
    #[arg(long, default_value_t = 0)]
    pub after: i64,
}

/// What is held in memory at once.
const PAGE: u32 = 100;

/// How often a page is asked for that Postgres does not give.
const TRIES: u32 = 10;

/// Writes every job of the history that is asked for, in the order in which they came into it. Returns how many.
///
/// # Errors
/// When Postgres stays away or the lines cannot be written. What was written by then is complete up to its last line.
pub async fn export(flags: &ExportFlags, out: &mut (impl AsyncWrite + Unpin)) -> anyhow::Result<u64> {
    let store = Store::connect(&flags.database.settings("assay-export-history")).context("--database-url")?;
    let (mut after, mut jobs, mut failed) = (flags.after, 0, 0);
    loop {
        let page = match store.history_page(after, flags.from, flags.until, PAGE).await {
            Err(error) if error.is_unavailable() && failed < TRIES => {
                failed += 1;
                sleep(Duration::from_secs(1)).await;
                continue;
            }
            page => page.with_context(|| format!("cannot read the history; go on with --after {after}"))?,
        };
        failed = 0;
        let Some(last) = page.last() else {
            out.flush().await.context("cannot write")?;
            return Ok(jobs);
        };
        after = last.seq;
        for job in &page {
            out.write_all(job.line.as_bytes()).await.context("cannot write")?;
            out.write_all(b"\n").await.context("cannot write")?;
            jobs += 1;
        }
    }
}

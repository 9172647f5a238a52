//! A run: start everything, let clients and faults meet, wait until all is at rest, compare.

use std::path::Path;

use anyhow::{Result, bail};
use testkit::{Place, Stack};
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use super::check::{Violation, settle, violations};
use super::clients::Clients;
use super::faults::inflict_all;
use super::history::history;
use super::keeper::Keeper;
use super::ledger::{Ledger, Notes};
use super::plan::{GATEWAYS, LEADER_LEASE, LEASE, OPERATORS, Plan, SCORERS, Size};
use super::report::Report;
use super::tides;
use crate::world::World;

/// How many histories a failure tells.
const HISTORIES: usize = 3;

/// How many violations a failure names.
const NAMED: usize = 20;

/// Runs chaos on a stack of its own, whose logs and data are in the folder.
///
/// # Errors
/// What does not hold afterwards, with the seed and the history of jobs that it concerns; or that the stack could not be
/// started, treated badly or looked at.
pub async fn run(plan: &Plan, size: Size, folder: &Path) -> Result<Report> {
    let stack = Stack::builder()
        .place(Place::owned(folder))
        .links()
        .gateways(GATEWAYS)
        .operators(OPERATORS)
        .scorers(SCORERS)
        .scorer_env("ASSAY_LEASE", &format!("{}s", LEASE.as_secs()))
        .scorer_env("ASSAY_CONCURRENCY", "32")
        .operator_env("ASSAY_LEADER_LEASE", &format!("{}s", LEADER_LEASE.as_secs()))
        .operator_env("ASSAY_AUDIT_EVERY", "10s")
        .start()
        .await?;
    let world = World::of(stack)?;
    let ledger = Ledger::default();
    let submissions = tides::submissions(&world.database, size.jobs).await?;

    let (began, keeper) = (Instant::now(), Keeper::of(&world.stack));
    let (rubric, held) = watch::channel("quick".to_owned());
    let clients = Clients { world: &world, ledger: &ledger, held, seed: size.seed };
    let asking = clients.ask_for_all(&submissions, plan.lasts());
    let met = tokio::select! {
        met = async { tokio::try_join!(asking, inflict_all(plan, &keeper, &ledger)) } => met.map(drop),
        kept = keeper.restart_what_ends(&ledger) => kept,
        () = tides::come_and_go(&world.database, &rubric) => Ok(()),
    };
    if let Err(error) = met {
        bail!("{error:?}\nseed {}\n{}", size.seed, world.stack.log_tails());
    }
    let (took, over) = (began.elapsed(), Instant::now());
    let notes = ledger.notes();
    settle(&world, &notes).await?;
    let settled = over.elapsed();

    let redriven: Vec<(Uuid,)> =
        sqlx::query_as("SELECT new_job FROM redrives").fetch_all(&world.database.pool).await?;
    let notes = Notes { redriven: redriven.into_iter().map(|(job,)| job).collect(), ..notes };
    let found = violations(&world, &notes, &submissions).await?;
    let (rows, attempts) = (world.database.jobs().await?, world.database.attempts().await?);
    let report = Report::of(size, took, settled, &notes, &rows, &attempts);
    if found.is_empty() { Ok(report) } else { bail!("{}", failure(&world, &notes, &report, &found).await?) }
}

async fn failure(world: &World, notes: &Notes, report: &Report, found: &[Violation]) -> Result<String> {
    let mut text = format!("{report}\n{} violations under seed {}:\n", found.len(), report.size.seed);
    for violation in found.iter().take(NAMED) {
        text.push_str(&format!("- {violation}\n"));
    }
    for fault in &notes.faults {
        text.push_str(&format!("{} to {} {:?}\n", fault.from_ms, fault.until_ms, fault.fault));
    }
    for job in found.iter().filter_map(|violation| violation.job).take(HISTORIES) {
        text.push_str(&history(world, notes, job).await?);
        text.push('\n');
    }
    Ok(text)
}

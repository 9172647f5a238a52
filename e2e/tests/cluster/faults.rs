//! Scorers that are taken away while they work.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::Installation;

use crate::TURN;
use crate::record::Heap;

const HEAP: usize = 1_500;

/// How many jobs a scorer runs at once, as the chart has it.
const CONCURRENCY: usize = 5;

/// The process of a scorer's container, by what it was started as: nothing else on this machine is called like that. Scorers'
/// children have words after it.
fn scorer_process() -> Result<String> {
    for entry in fs::read_dir("/proc")?.flatten() {
        let is_scorer = fs::read(entry.path().join("cmdline")).is_ok_and(|line| line == b"/scorer\0");
        if is_scorer {
            return entry.file_name().into_string().ok().context("a pid");
        }
    }
    anyhow::bail!("no scorer runs on this machine: is the cluster elsewhere?")
}

#[tokio::test]
async fn a_scorer_whose_container_is_killed_loses_its_attempts_and_no_job() -> Result<()> {
    let _turn = TURN.lock().await;
    let installation = Installation::from_env()?;
    let reached = installation.reach().await?;
    let heap = Heap::post(&installation, &reached, HEAP).await?;
    heap.until_running().await?;
    ensure!(Command::new("kill").args(["-9", &scorer_process()?]).status()?.success(), "it cannot be killed");
    heap.until_ended().await?;
    let attempts = heap.was_scored_once().await?;
    println!("{attempts:?}");
    // What it ran at that moment, and nothing else.
    ensure!((1..=CONCURRENCY).contains(&attempts.lease_lost) && attempts.others == 0, "{attempts:?}");
    Ok(())
}

#[tokio::test]
async fn eviction_and_a_drain_of_the_node_spend_no_attempt() -> Result<()> {
    let _turn = TURN.lock().await;
    let installation = Installation::from_env()?;
    let reached = installation.reach().await?;
    let heap = Heap::post(&installation, &reached, HEAP).await?;
    heap.until_running().await?;
    let node = installation.kubectl(&["get", "nodes", "-o=jsonpath={.items[0].metadata.name}"]).await?;
    let scorers = "--pod-selector=app.kubernetes.io/component=scorer";
    let drained = installation
        .kubectl(&["drain", node.trim(), scorers, "--delete-emptydir-data", "--timeout=120s"])
        .await;
    installation.kubectl(&["uncordon", node.trim()]).await?;
    drained.context("the drain")?;
    heap.until_ended().await?;
    let attempts = heap.was_scored_once().await?;
    println!("{attempts:?}");
    ensure!(attempts.lease_lost == 0, "{attempts:?}");
    Ok(())
}

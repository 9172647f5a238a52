//! `dev down`: stops what `dev up` started, and nothing else.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::join_all;
use testkit::{Postgres, Process, Signal};

use crate::cluster;
use crate::dot_dev::DotDev;

/// Stops everything and removes `.dev`.
pub(crate) async fn down() -> Result<()> {
    let dot_dev = DotDev::of_this_checkout()?;
    let _lock = dot_dev.lock()?;
    if dot_dev.contents().is_empty() {
        println!("Nothing is running");
        return Ok(());
    }
    let stopped = stop_processes(&dot_dev).await?;
    cluster::delete(&dot_dev).await?;
    let place = dot_dev.place();
    let postgres = Postgres::data_folder(&place)?;
    remove(&postgres)?;
    for path in dot_dev.contents() {
        remove(&path)?;
    }
    // It stays where there is a cluster of `make cluster` in it.
    let _empty = fs::remove_dir(dot_dev.folder());
    match stopped {
        0 => println!("Nothing was running any more; what was left in .dev is removed"),
        _ => println!("Stopped {stopped} processes and removed .dev"),
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Stops all recorded processes that still run: how many. A pid that now belongs to another process is left alone.
pub(crate) async fn stop_processes(dot_dev: &DotDev) -> Result<usize> {
    let processes: Vec<Process> =
        dot_dev.processes().into_iter().filter_map(|(_, process)| process).collect();
    // Those that use others go before them: otherwise they would spend their last moments complaining.
    let mut ranks: Vec<u8> = processes.iter().map(rank).collect();
    ranks.sort_unstable();
    ranks.dedup();
    for current in ranks {
        join_all(processes.iter().filter(|process| rank(process) == current).map(stop)).await;
    }
    let left: Vec<&str> =
        processes.iter().filter(|process| process.is_running()).map(Process::name).collect();
    anyhow::ensure!(left.is_empty(), "still running: {}", left.join(", "));
    let records = dot_dev.folder().join("processes");
    match fs::remove_dir_all(&records) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context("forget the processes")
        }
        _ => Ok(processes.len()),
    }
}

fn rank(process: &Process) -> u8 {
    match process.name() {
        "postgres" | "redis" | "etcd" => 2,
        "kube-apiserver" | "kube-controller-manager" => 1,
        _ => 0,
    }
}

/// All data is about to be removed, so there is nothing to wait for long.
async fn stop(process: &Process) {
    let signal = if process.name() == "postgres" { Signal::Quit } else { Signal::Term };
    let _was_killed_instead = process.stop_with(signal, Duration::from_secs(5)).await;
}

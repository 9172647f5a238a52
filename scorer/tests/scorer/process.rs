//! A scorer as a process of its own, and its children.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testkit::{Launch, Lifetime, Process, Seen, TempFolder, free_port, readiness, until};

use crate::fixture::{SCORER, World};

/// Nothing that is waited for here takes this long.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A scorer of a world's pool.
pub(crate) struct ScorerProcess {
    pub(crate) process: Process,
    metrics_port: u16,
    _logs: TempFolder,
}

impl ScorerProcess {
    /// Starts one with these flags beside those that say where its servers are.
    pub(crate) async fn start(world: &World, flags: &[&str]) -> Result<ScorerProcess> {
        let (logs, metrics_port) = (TempFolder::new()?, free_port()?);
        let process = Launch::new("scorer", SCORER, logs.path(), &Lifetime::Owned)
            .env("ASSAY_DATABASE_URL", &world.database_url)
            .env("ASSAY_REDIS_URL", &world.redis_url)
            .env("ASSAY_POOL", world.pool.as_str())
            .env("ASSAY_METRICS_ADDR", format!("127.0.0.1:{metrics_port}"))
            .args(flags)
            .start()
            .await?;
        let ready = async || readiness::http_ok(metrics_port, "/readyz").await;
        readiness::until(&process, LIMIT, ready).await?;
        Ok(ScorerProcess { process, metrics_port, _logs: logs })
    }

    /// Its one child, whether it has something to do or not.
    pub(crate) async fn only_child(&self) -> Result<Process> {
        until("the scorer has one child", LIMIT, async || {
            let children = children_of(self.process.pid())?;
            match children[..] {
                [child] => Ok(Seen::Yes(Process::by_pid("child", child, self.process.log())?)),
                _ => Ok(Seen::NotYet(format!("children {children:?}"))),
            }
        })
        .await
    }

    /// Its one child, which waits for a task, and answers nothing from now on.
    pub(crate) async fn only_child_stalled(&self) -> Result<Process> {
        let child = self.only_child().await?;
        until("the child waits for a task", LIMIT, async || {
            let (limits, status) = (told_of(&child, "limits")?, told_of(&child, "status")?);
            // The last of its limits. After that it only sleeps to wait.
            let limited =
                limits.lines().any(|line| line.split_whitespace().take(3).eq(["Max", "processes", "0"]));
            Ok(Seen::when(limited && status.contains("State:\tS"), || status))
        })
        .await?;
        child.pause().await?;
        Ok(child)
    }

    /// How many attempts its metrics say have ended so.
    pub(crate) async fn attempts(&self, outcome: &str) -> Result<f64> {
        let (status, text) = readiness::http_get(self.metrics_port, "/metrics").await?;
        ensure!(status == 200, "/metrics answers {status}");
        let name = format!("assay_scorer_attempts_total{{outcome=\"{outcome}\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(name.as_str()));
        value.context("the outcome is not shown")?.parse().context("a number")
    }
}

fn children_of(pid: i32) -> Result<Vec<i32>> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(child) = entry?.file_name().to_string_lossy().parse::<i32>() else { continue };
        // It may have ended since, or be about to become another program: then it has no such arguments.
        let read = |file: &str| fs::read_to_string(format!("/proc/{child}/{file}")).unwrap_or_default();
        let stat = read("stat");
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let is_child = read("cmdline").contains("\0child\0");
        if is_child && fields.get(1).and_then(|parent| parent.parse().ok()) == Some(pid) {
            children.push(child);
        }
    }
    Ok(children)
}

/// A file about a process.
pub(crate) fn told_of(process: &Process, file: &str) -> Result<String> {
    Ok(fs::read_to_string(format!("/proc/{}/{file}", process.pid()))?)
}

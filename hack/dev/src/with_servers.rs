//! `dev with-servers`: one Postgres, one Redis and one control plane for a whole test run.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use testkit::{ControlPlaneOptions, Given, Kubernetes, Place, PostgresOptions, Servers, TempFolder};
use tokio::process::Command;

/// Runs a command with the servers' addresses in its environment, and ends with its exit code. The servers end with
/// this process.
pub(crate) async fn with_servers(command: &[String]) -> Result<ExitCode> {
    let folder = TempFolder::new()?;
    let place = Place::owned(folder.path());
    let kubernetes = match given("ASSAY_DEV_KUBECONFIG") {
        Some(path) => {
            Some(Kubernetes { kubeconfig: PathBuf::from(path), kubectl: testkit::kubectl_path().await? })
        }
        None => None,
    };
    let (database_url, redis_url) = (given("ASSAY_DEV_DATABASE_URL"), given("ASSAY_DEV_REDIS_URL"));
    let given = Given { database_url, redis_url, kubernetes };
    let servers =
        Servers::start(&place, given, &PostgresOptions::default(), &ControlPlaneOptions::default()).await?;
    let (program, args) = command.split_first().context("no command")?;
    let mut child = Command::new(program);
    child
        .args(args)
        .env("ASSAY_TEST_DATABASE_URL", &servers.database_url)
        .env("ASSAY_TEST_REDIS_URL", &servers.redis_url);
    child
        .env("ASSAY_TEST_KUBECONFIG", &servers.kubernetes.kubeconfig)
        .env("ASSAY_TEST_KUBECTL", &servers.kubernetes.kubectl);
    if std::env::var_os("ASSAY_BIN_DIR").is_none() {
        let own = std::env::current_exe().context("find our own program")?;
        child.env("ASSAY_BIN_DIR", own.parent().context("our program is in no folder")?);
    }
    let mut child = child.spawn().with_context(|| format!("run {program}"))?;
    // Ctrl-C reaches the command by itself; we stay until it has ended, because it needs the servers until then.
    let status = loop {
        tokio::select! {
            status = child.wait() => break status.context("wait for the command")?,
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

fn given(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

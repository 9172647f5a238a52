//! `dev with-servers`: one Postgres, one Redis and one control plane for a whole test run.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use testkit::{ControlPlane, ControlPlaneOptions, Place, Postgres, PostgresOptions, Redis, TempFolder};
use tokio::process::Command;

/// Runs a command with the servers' addresses in its environment, and ends with its exit code. The servers end with
/// this process.
pub(crate) async fn with_servers(command: &[String]) -> Result<ExitCode> {
    let folder = TempFolder::new()?;
    let place = Place::owned(folder.path());
    let (postgres, redis, control_plane) =
        tokio::try_join!(start_postgres(&place), start_redis(&place), start_cluster(&place))?;
    let (program, args) = command.split_first().context("no command")?;
    let mut child = Command::new(program);
    child.args(args).env("ASSAY_TEST_DATABASE_URL", &postgres.1).env("ASSAY_TEST_REDIS_URL", &redis.1);
    child.env("ASSAY_TEST_KUBECONFIG", &control_plane.1).env("ASSAY_TEST_KUBECTL", &control_plane.2);
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

async fn start_postgres(place: &Place) -> Result<(Option<Postgres>, String)> {
    if let Some(url) = given("ASSAY_DEV_DATABASE_URL") {
        return Ok((None, url));
    }
    let postgres = Postgres::start(place, &PostgresOptions::default()).await?;
    let url = postgres.url();
    Ok((Some(postgres), url))
}

async fn start_redis(place: &Place) -> Result<(Option<Redis>, String)> {
    if let Some(url) = given("ASSAY_DEV_REDIS_URL") {
        return Ok((None, url));
    }
    let redis = Redis::start(place).await?;
    let url = redis.url();
    Ok((Some(redis), url))
}

async fn start_cluster(place: &Place) -> Result<(Option<ControlPlane>, PathBuf, PathBuf)> {
    if let Some(kubeconfig) = given("ASSAY_DEV_KUBECONFIG") {
        return Ok((None, PathBuf::from(kubeconfig), testkit::kubectl_path().await?));
    }
    let control_plane = ControlPlane::start(place, &ControlPlaneOptions::default()).await?;
    let (kubeconfig, kubectl) = (control_plane.kubeconfig().to_owned(), control_plane.kubectl().to_owned());
    Ok((Some(control_plane), kubeconfig, kubectl))
}

fn given(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

//! One Postgres, one Redis and one control plane for all tests of a run.
//!
//! `make test` starts them for the whole run and names them in the environment. A test program started alone
//! (`cargo test -p store`) starts what it asks for, and that ends with it.

use std::path::PathBuf;
use std::process::Output;

use anyhow::{Context, Result, bail};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::sync::OnceCell;

use crate::control_plane::{ControlPlane, ControlPlaneOptions, kubectl_path};
use crate::folder::TempFolder;
use crate::kubernetes::Kubernetes;
use crate::place::Place;
use crate::postgres::{Postgres, PostgresOptions};
use crate::redis::Redis;

/// A server together with the folder that it must not outlive.
struct Kept<T>(T, #[allow(dead_code, reason = "held so that the folder stays")] TempFolder);

/// URL of a Postgres for tests.
pub async fn postgres_url() -> Result<String> {
    static SHARED: OnceCell<Kept<Postgres>> = OnceCell::const_new();
    if let Some(url) = given("ASSAY_TEST_DATABASE_URL") {
        return Ok(url);
    }
    let start = async || {
        let folder = TempFolder::new()?;
        let postgres = Postgres::start(&Place::owned(folder.path()), &PostgresOptions::default()).await?;
        anyhow::Ok(Kept(postgres, folder))
    };
    Ok(SHARED.get_or_try_init(start).await.context("start a Postgres for tests")?.0.url())
}

/// URL of a Redis for tests. It is shared: tests keep apart by the names of their pools.
pub async fn redis_url() -> Result<String> {
    static SHARED: OnceCell<Kept<Redis>> = OnceCell::const_new();
    if let Some(url) = given("ASSAY_TEST_REDIS_URL") {
        return Ok(url);
    }
    let start = async || {
        let folder = TempFolder::new()?;
        anyhow::Ok(Kept(Redis::start(&Place::owned(folder.path())).await?, folder))
    };
    Ok(SHARED.get_or_try_init(start).await.context("start a Redis for tests")?.0.url())
}

/// Kubeconfig of a cluster for tests. It is shared: tests keep apart by namespaces.
pub async fn kubeconfig() -> Result<PathBuf> {
    Ok(kubernetes().await?.kubeconfig)
}

/// Runs kubectl against the cluster for tests; returns what it prints, or fails with what it complains about.
pub async fn kubectl(args: &[&str]) -> Result<String> {
    kubernetes().await?.kubectl(args).await
}

/// A new database with a random name on the Postgres for tests: its URL. It has no tables yet.
pub async fn fresh_database() -> Result<String> {
    fresh_database_on(&postgres_url().await?).await
}

/// A new database with a random name beside the one that the URL names: its URL.
pub async fn fresh_database_on(url: &str) -> Result<String> {
    let name = format!("test_{}", uuid::Uuid::new_v4().simple());
    let mut connection = PgConnection::connect(url).await.context("connect to Postgres")?;
    let statement = format!("CREATE DATABASE {name}");
    connection.execute(AssertSqlSafe(statement)).await.context("create a database")?;
    connection.close().await.context("leave Postgres")?;
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let (server, _) = path.rsplit_once('/').context("a database URL ends in the database's name")?;
    let query = if query.is_empty() { String::new() } else { format!("?{query}") };
    Ok(format!("{server}/{name}{query}"))
}

/// A new namespace with a random name in the cluster for tests.
pub async fn fresh_namespace() -> Result<String> {
    let name = format!("test-{}", uuid::Uuid::new_v4().simple());
    kubectl(&["create", "namespace", &name]).await?;
    Ok(name)
}

/// What a command printed, or an error that says what it complained about.
pub(crate) fn printed(args: &[&str], output: Output) -> Result<String> {
    if !output.status.success() {
        bail!("kubectl {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The cluster for tests. Its custom resources are for each test program to define, with
/// [`Kubernetes::apply_definitions`].
pub async fn kubernetes() -> Result<Kubernetes> {
    static SHARED: OnceCell<Kept<ControlPlane>> = OnceCell::const_new();
    if let Some(kubeconfig) = given("ASSAY_TEST_KUBECONFIG") {
        let kubectl = match given("ASSAY_TEST_KUBECTL") {
            Some(kubectl) => PathBuf::from(kubectl),
            None => kubectl_path().await?,
        };
        return Ok(Kubernetes { kubeconfig: PathBuf::from(kubeconfig), kubectl });
    }
    let start = async || {
        let folder = TempFolder::new()?;
        let options = ControlPlaneOptions::default();
        anyhow::Ok(Kept(ControlPlane::start(&Place::owned(folder.path()), &options).await?, folder))
    };
    let Kept(control_plane, _) =
        SHARED.get_or_try_init(start).await.context("start a control plane for tests")?;
    Ok(control_plane.kubernetes())
}

fn given(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

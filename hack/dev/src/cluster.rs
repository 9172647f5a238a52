//! Which cluster a stack uses: the one that was given, one of kind's where Docker runs, or (none here) a control plane
//! of our own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use testkit::{Kubernetes, kubectl_path};
use tokio::process::Command;

use crate::dot_dev::DotDev;

/// Name of the cluster that we create with kind.
const NAME: &str = "assay-dev";

/// The cluster to use, unless it is to be a control plane of our own. The ambient KUBECONFIG is never looked at: a
/// person's may point at production.
pub(crate) async fn choose(given: Option<&str>, dot_dev: &DotDev) -> Result<Option<Kubernetes>> {
    if let Some(kubeconfig) = given {
        let kubeconfig = PathBuf::from(kubeconfig);
        if !kubeconfig.is_file() {
            bail!("ASSAY_DEV_KUBECONFIG names {}, which is no file", kubeconfig.display());
        }
        return Ok(Some(Kubernetes { kubeconfig, kubectl: kubectl_path().await? }));
    }
    if kind_works().await {
        return kind_cluster(dot_dev).await.map(Some);
    }
    Ok(None)
}

/// Deletes the cluster that we created with kind, if we did.
pub(crate) async fn delete(dot_dev: &DotDev) -> Result<()> {
    if dot_dev.kind_marker().exists() {
        println!("Deleting the kind cluster {NAME}");
        kind(&["delete", "cluster", "--name", NAME]).await?;
    }
    Ok(())
}

async fn kind_works() -> bool {
    let succeeds = async |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let status = tokio::time::timeout(Duration::from_secs(10), command.status()).await;
        matches!(status, Ok(Ok(status)) if status.success())
    };
    // A client without an engine is common, so the engine is what is asked.
    succeeds("kind", &["version"]).await && succeeds("docker", &["info"]).await
}

async fn kind_cluster(dot_dev: &DotDev) -> Result<Kubernetes> {
    let folder = dot_dev.place().folder("kind")?;
    let kubeconfig = folder.join("kubeconfig");
    let path = kubeconfig.to_str().context("the path of .dev is not UTF-8")?;
    let clusters = kind(&["get", "clusters"]).await?;
    if String::from_utf8_lossy(&clusters.stdout).lines().any(|name| name == NAME) {
        kind(&["export", "kubeconfig", "--name", NAME, "--kubeconfig", path]).await?;
    } else {
        println!("Creating the kind cluster {NAME} (about a minute, more when its image has to be fetched)");
        fs::write(dot_dev.kind_marker(), "").context("remember that the kind cluster is ours")?;
        let config = dot_dev.root().join("kind-config.yaml");
        let config_path = config.to_str().context("the path of the checkout is not UTF-8")?;
        let mut args = vec!["create", "cluster", "--name", NAME, "--kubeconfig", path, "--wait", "180s"];
        if Path::new(&config).exists() {
            args.extend(["--config", config_path]);
        }
        kind(&args).await?;
    }
    Ok(Kubernetes { kubeconfig, kubectl: kubectl_path().await? })
}

async fn kind(args: &[&str]) -> Result<Output> {
    let output = Command::new("kind").args(args).stdin(Stdio::null()).output().await.context("run kind")?;
    if !output.status.success() {
        bail!("kind {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output)
}

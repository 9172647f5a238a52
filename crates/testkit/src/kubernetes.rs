//! A cluster as kubectl sees it, and the definitions of Assay's custom resources in it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio::process::Command;

use crate::shared::printed;

/// How to reach a cluster.
#[derive(Debug, Clone)]
pub struct Kubernetes {
    /// The kubeconfig.
    pub kubeconfig: PathBuf,
    /// The kubectl to use with it.
    pub kubectl: PathBuf,
}

impl Kubernetes {
    /// Runs kubectl; returns what it prints, or fails with what it complains about.
    pub async fn kubectl(&self, args: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.kubectl);
        command.args(args).env("KUBECONFIG", &self.kubeconfig).kill_on_drop(true);
        printed(args, command.output().await.context("run kubectl")?)
    }

    /// Brings `crds/` to the cluster and waits until it serves them. Does no harm when they are there.
    pub async fn apply_definitions(&self) -> Result<()> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crds");
        let folder = folder.canonicalize().context("find the folder crds/")?;
        let path = folder.to_str().context("the path of crds/ is not UTF-8")?;
        self.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", path]).await?;
        self.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "-f", path]).await?;
        // Established is said a moment before the storage answers, and a new server compiles the definitions' rules only
        // at the first write, which takes it seconds: here they are nobody's delay.
        let trial = concat!(env!("CARGO_MANIFEST_DIR"), "/trial.yaml");
        self.kubectl(&["create", "--dry-run=server", "--namespace=default", "-f", trial]).await?;
        Ok(())
    }
}

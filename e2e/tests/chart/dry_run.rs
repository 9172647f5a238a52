//! What an API server says to the objects of realistic installations. Those of other projects' kinds are held against
//! foreign.yaml, which has of their schemas what the chart uses: their form is tried, not what those projects make of it.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use e2e::chart::{folder, helm, rendered};
use testkit::{TempFolder, kubernetes};
use tokio::process::Command;
use tokio::sync::OnceCell;

/// The values files in charts/assay/ci, each an installation as somebody may have it.
pub(crate) fn installations() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder().join("ci"))? {
        found.push(entry?.path().to_str().context("a path of ASCII")?.to_owned());
    }
    found.sort();
    ensure!(found.len() >= 12, "only {} installations", found.len());
    Ok(found)
}

/// A namespace as strict as one can be, with what a controller manager would make in it, in a cluster with all kinds.
async fn strict_namespace() -> Result<String> {
    static KINDS: OnceCell<()> = OnceCell::const_new();
    let kubernetes = kubernetes().await?;
    KINDS
        .get_or_try_init(async || {
            kubernetes.apply_definitions().await?;
            let foreign = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/chart/foreign.yaml");
            kubernetes.kubectl(&["apply", "--server-side", "-f", foreign]).await?;
            kubernetes
                .kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "-f", foreign])
                .await?;
            anyhow::Ok(())
        })
        .await?;
    let namespace = testkit::fresh_namespace().await?;
    let labels = ["enforce", "warn"].map(|mode| format!("pod-security.kubernetes.io/{mode}=restricted"));
    kubernetes.kubectl(&["label", "namespace", &namespace, &labels[0], &labels[1]]).await?;
    kubernetes.kubectl(&["create", "serviceaccount", "default", "--namespace", &namespace]).await?;
    Ok(namespace)
}

/// Has the API server judge the objects. A warning counts as an objection, such as that of Pod Security.
async fn try_out(manifests: &Path) -> Result<()> {
    let kubernetes = kubernetes().await?;
    let output = Command::new(&kubernetes.kubectl)
        .env("KUBECONFIG", &kubernetes.kubeconfig)
        .args(["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f"])
        .arg(manifests)
        .output()
        .await?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && complaints.trim().is_empty(), "the API server: {complaints}");
    Ok(())
}

#[tokio::test]
async fn an_api_server_takes_every_object_of_every_installation_without_a_warning() -> Result<()> {
    let namespace = strict_namespace().await?;
    let place = TempFolder::new()?;
    for values in installations()? {
        let rendered = rendered(&namespace, &["--values", &values]).await?;
        let file = place.path().join("manifests.yaml");
        std::fs::write(&file, &rendered.text)?;
        try_out(&file).await.with_context(|| values.clone())?;
    }
    Ok(())
}

#[tokio::test]
async fn a_pod_that_asks_for_more_than_is_allowed_would_be_noticed() -> Result<()> {
    let namespace = strict_namespace().await?;
    let place = TempFolder::new()?;
    let rendered = rendered(&namespace, &[]).await?;
    for (before, after, because) in [
        ("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "violate PodSecurity"),
        ("topologyKey:", "topologyKee:", "topologyKee"),
    ] {
        let file = place.path().join("manifests.yaml");
        std::fs::write(&file, rendered.text.replace(before, after))?;
        let error = try_out(&file).await.err().with_context(|| format!("{after} is taken"))?.to_string();
        ensure!(error.contains(because), "{after}: {error}");
    }
    Ok(())
}

#[tokio::test]
async fn helm_finds_no_fault_with_the_chart() -> Result<()> {
    let folder = folder();
    let chart = folder.to_str().context("a path of ASCII")?;
    for values in installations()? {
        helm(&["lint", "--strict", "--values", &values, chart]).await?;
    }
    Ok(())
}

//! Releases on a real API server. No Pod runs there; what helm reads and writes is real.

use anyhow::{Context, Result, ensure};
use e2e::chart::folder;
use e2e::tool::tool;
use testkit::{fresh_namespace, kubectl, kubernetes};
use tokio::process::Command;

/// Installs or upgrades a release that makes nothing outside of its namespace.
async fn install(release: &str, namespace: &str) -> Result<()> {
    let kubernetes = kubernetes().await?;
    let output = Command::new(tool("helm", "ASSAY_HELM"))
        .env("KUBECONFIG", &kubernetes.kubeconfig)
        .args(["upgrade", "--install", release, "--namespace", namespace])
        .arg("--values")
        .arg(folder().join("ci/namespaced-values.yaml"))
        .arg(folder())
        .output()
        .await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

async fn password(namespace: &str, of: &str) -> Result<String> {
    let secret = format!("assay-{of}");
    let password =
        kubectl(&["get", "secret", &secret, "-n", namespace, "-o=jsonpath={.data.password}/{.data.url}"])
            .await?;
    ensure!(password.len() > 60, "{of} has the password {password}");
    Ok(password)
}

#[tokio::test]
async fn generated_passwords_stay_over_upgrades() -> Result<()> {
    let namespace = fresh_namespace().await?;
    install("assay", &namespace).await?;
    let before = [password(&namespace, "postgres").await?, password(&namespace, "redis").await?];
    ensure!(before[0] != before[1], "Postgres and Redis have the same password");
    install("assay", &namespace).await?;
    assert_eq!([password(&namespace, "postgres").await?, password(&namespace, "redis").await?], before);
    Ok(())
}

#[tokio::test]
async fn a_second_release_in_a_namespace_is_refused() -> Result<()> {
    let namespace = fresh_namespace().await?;
    install("assay", &namespace).await?;
    let error = install("other", &namespace).await.err().context("a second one is taken")?.to_string();
    let expected = format!("the release assay is in the namespace {namespace} already");
    ensure!(error.contains(&expected), "{error}");
    Ok(())
}

//! Releases on a real API server. No Pod runs there; what helm reads and writes is real.

use anyhow::{Context, Result, ensure};
use e2e::chart::folder;
use e2e::tool::tool;
use testkit::{fresh_namespace, kubectl, kubernetes};
use tokio::process::Command;

/// Makes nothing outside of its namespace.
const NAMESPACED: &str = "namespaced-values.yaml";

/// Installs or upgrades a release by one of the files in charts/assay/ci.
async fn install(release: &str, namespace: &str, values: &str, set: &[&str]) -> Result<()> {
    helm(&["upgrade", "--install", release, "--namespace", namespace], |command| {
        command.arg("--values").arg(folder().join("ci").join(values));
        command.args(set.iter().flat_map(|set| ["--set", set])).arg(folder());
    })
    .await
}

async fn helm(arguments: &[&str], more: impl FnOnce(&mut Command)) -> Result<()> {
    let mut command = Command::new(tool("helm", "ASSAY_HELM"));
    command.env("KUBECONFIG", &kubernetes().await?.kubeconfig).args(arguments);
    more(&mut command);
    let output = command.output().await?;
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
    install("assay", &namespace, NAMESPACED, &[]).await?;
    let before = [password(&namespace, "postgres").await?, password(&namespace, "redis").await?];
    ensure!(before[0] != before[1], "Postgres and Redis have the same password");
    install("assay", &namespace, NAMESPACED, &[]).await?;
    assert_eq!([password(&namespace, "postgres").await?, password(&namespace, "redis").await?], before);
    Ok(())
}

#[tokio::test]
async fn a_second_release_in_a_namespace_is_refused() -> Result<()> {
    let namespace = fresh_namespace().await?;
    install("assay", &namespace, NAMESPACED, &[]).await?;
    let error = install("other", &namespace, NAMESPACED, &[])
        .await
        .err()
        .context("a second one is taken")?
        .to_string();
    let expected = format!("the release assay is in the namespace {namespace} already");
    ensure!(error.contains(&expected), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_release_beside_one_that_takes_up_all_namespaces_is_refused() -> Result<()> {
    let (first, second) = (fresh_namespace().await?, fresh_namespace().await?);
    let everywhere = "trying-out-values.yaml";
    let without_definitions = ["crds.install=false"];
    install("assay", &first, everywhere, &without_definitions).await?;
    // What it has itself is not held against it.
    install("assay", &first, everywhere, &without_definitions).await?;
    let refused = install("assay", &second, everywhere, &without_definitions).await;
    helm(&["uninstall", "assay", "--namespace", &first], |_| {}).await?;
    let error = refused.err().context("a second one is taken")?.to_string();
    let expected = format!("the release assay in the namespace {first} takes up resources of all namespaces");
    ensure!(error.contains(&expected), "{error}");
    Ok(())
}

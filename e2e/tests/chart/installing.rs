//! Releases on a real API server. No Pod runs there; what helm reads and writes is real.

use anyhow::{Context, Result, ensure};
use e2e::chart::folder;
use e2e::tool::tool;
use testkit::{fresh_namespace, kubectl, kubernetes};
use tokio::process::Command;
use tokio::sync::Mutex;

/// Makes nothing outside of its namespace.
const NAMESPACED: &str = "namespaced-values.yaml";

/// Takes up the resources of all namespaces.
const EVERYWHERE: &str = "trying-out-values.yaml";

const WITHOUT_DEFINITIONS: [&str; 1] = ["crds.install=false"];

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

/// A release of all namespaces concerns all others: one test at a time.
static TURN: Mutex<()> = Mutex::const_new(());

/// Does this in a namespace of its own, and takes away the release `assay` there, whatever came of it.
async fn with_release(test: impl AsyncFnOnce(&str) -> Result<()>) -> Result<()> {
    let namespace = fresh_namespace().await?;
    let done = test(&namespace).await;
    helm(&["uninstall", "assay", "--namespace", &namespace, "--ignore-not-found"], |_| {}).await?;
    done
}

/// Asserts that it was refused for this.
fn is_refused(installed: Result<()>, reason: &str) -> Result<()> {
    let error = installed.err().context("it is taken")?.to_string();
    ensure!(error.contains(reason), "{error}");
    Ok(())
}

#[tokio::test]
async fn generated_passwords_stay_over_upgrades() -> Result<()> {
    let _turn = TURN.lock().await;
    with_release(async |namespace| {
        install("assay", namespace, NAMESPACED, &[]).await?;
        let before = [password(namespace, "postgres").await?, password(namespace, "redis").await?];
        ensure!(before[0] != before[1], "Postgres and Redis have the same password");
        install("assay", namespace, NAMESPACED, &[]).await?;
        assert_eq!([password(namespace, "postgres").await?, password(namespace, "redis").await?], before);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_second_release_in_a_namespace_is_refused() -> Result<()> {
    let _turn = TURN.lock().await;
    with_release(async |namespace| {
        install("assay", namespace, NAMESPACED, &[]).await?;
        let second = install("other", namespace, NAMESPACED, &[]).await;
        is_refused(second, &format!("the release assay is in the namespace {namespace} already"))
    })
    .await
}

#[tokio::test]
async fn a_release_beside_one_that_takes_up_all_namespaces_is_refused() -> Result<()> {
    let _turn = TURN.lock().await;
    with_release(async |namespace| {
        install("assay", namespace, EVERYWHERE, &WITHOUT_DEFINITIONS).await?;
        // What it has itself is not held against it.
        install("assay", namespace, EVERYWHERE, &WITHOUT_DEFINITIONS).await?;
        let own = [&WITHOUT_DEFINITIONS[..], &["operator.allNamespaces=false"]].concat();
        let second = install("assay", &fresh_namespace().await?, EVERYWHERE, &own).await;
        let takes =
            format!("the release assay in the namespace {namespace} takes up resources of all namespaces");
        is_refused(second, &takes)
    })
    .await
}

#[tokio::test]
async fn a_release_that_would_take_up_what_is_another_s_is_refused() -> Result<()> {
    let _turn = TURN.lock().await;
    with_release(async |namespace| {
        install("assay", namespace, NAMESPACED, &[]).await?;
        let second = install("assay", &fresh_namespace().await?, EVERYWHERE, &WITHOUT_DEFINITIONS).await;
        let takes = format!(
            "the release assay is in the namespace {namespace}, whose resources this one would take up"
        );
        is_refused(second, &takes)
    })
    .await
}

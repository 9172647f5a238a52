//! Pods that are taken away while they work.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::Installation;
use e2e::chart::root;
use e2e::installation::NAMESPACE;
use serde_json::json;
use testkit::{Seen, until};
use tokio::process::Command;

use crate::TURN;
use crate::record::Heap;

const HEAP: usize = 1_500;

/// How many jobs a scorer runs at once, as the chart has it.
const CONCURRENCY: usize = 5;

/// How often the container of a scorer's Pod was started anew.
async fn restarts(installation: &Installation, pod: &str) -> Result<usize> {
    let count = "-o=jsonpath={.status.containerStatuses[0].restartCount}";
    installation.kubectl(&["get", "pod", pod, count]).await?.parse().context("a number")
}

#[tokio::test]
async fn a_scorer_whose_container_is_killed_loses_its_attempts_and_no_job() -> Result<()> {
    let _turn = TURN.lock().await;
    let installation = Installation::from_env()?;
    let reached = installation.reach().await?;
    let heap = Heap::post(&installation, &reached, HEAP).await?;
    let pod = heap.until_running().await?;
    let before = restarts(&installation, &pod).await?;
    let killed = Command::new(root().join("hack/cluster/kill.sh")).args([NAMESPACE, &pod]).status().await?;
    ensure!(killed.success(), "{pod} cannot be killed");
    until(format!("{pod} is started anew"), Duration::from_secs(30), async || {
        let now = restarts(&installation, &pod).await?;
        Ok(Seen::when(now == before + 1, || format!("{now} restarts after {before}")))
    })
    .await?;
    let attempts = heap.was_scored_once().await?;
    println!("{attempts:?}");
    // What it ran at that moment, what it had finished and not recorded yet, and nothing else.
    ensure!((1..=2 * CONCURRENCY).contains(&attempts.lease_lost) && attempts.others == 0, "{attempts:?}");
    Ok(())
}

/// Asks the API server to evict a Pod, as whoever empties a node does.
async fn evict(installation: &Installation, pod: &str) -> Result<String> {
    let eviction = json!({ "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": pod } });
    let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction");
    installation.create(&eviction, &["--raw", &path]).await
}

#[tokio::test]
async fn a_scorer_that_is_evicted_spends_no_attempt() -> Result<()> {
    let _turn = TURN.lock().await;
    let installation = Installation::from_env()?;
    let reached = installation.reach().await?;
    let heap = Heap::post(&installation, &reached, HEAP).await?;
    let pod = heap.until_running().await?;
    evict(&installation, &pod).await?;
    installation.kubectl(&["wait", "pod", &pod, "--for=delete", "--timeout=60s"]).await?;
    let attempts = heap.was_scored_once().await?;
    println!("{attempts:?}");
    ensure!(attempts.lease_lost == 0, "{attempts:?}");
    Ok(())
}

#[tokio::test]
async fn no_more_gateways_are_evicted_than_may_be_away() -> Result<()> {
    let _turn = TURN.lock().await;
    let installation = Installation::from_env()?;
    let gateways = ["get", "pods", "--selector=app.kubernetes.io/component=gateway", "-o=name"];
    let pods = installation.kubectl(&gateways).await?;
    let pods: Vec<&str> = pods.lines().filter_map(|pod| pod.strip_prefix("pod/")).collect();
    let [one, other] = pods[..] else { bail!("there are {pods:?}, not two") };
    evict(&installation, one).await?;
    let refused = evict(&installation, other).await.err().context("both are")?.to_string();
    ensure!(refused.contains("disruption budget"), "{refused}");
    let gateway = installation.name_of("gateway");
    installation.kubectl(&["rollout", "status", "deployment", &gateway, "--timeout=90s"]).await.map(drop)
}

#[tokio::test]
async fn a_drain_of_the_node_spends_no_attempt() -> Result<()> {
    let _turn = TURN.lock().await;
    let installation = Installation::from_env()?;
    let reached = installation.reach().await?;
    let heap = Heap::post(&installation, &reached, HEAP).await?;
    heap.until_running().await?;
    let node = installation.kubectl(&["get", "nodes", "-o=jsonpath={.items[0].metadata.name}"]).await?;
    let scorers = "--pod-selector=app.kubernetes.io/component=scorer";
    let drained = installation
        .kubectl(&["drain", node.trim(), scorers, "--delete-emptydir-data", "--timeout=120s"])
        .await;
    installation.kubectl(&["uncordon", node.trim()]).await?;
    drained.context("the drain")?;
    let attempts = heap.was_scored_once().await?;
    println!("{attempts:?}");
    ensure!(attempts.lease_lost == 0, "{attempts:?}");
    Ok(())
}

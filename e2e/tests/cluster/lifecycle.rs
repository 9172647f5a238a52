//! A release from its installation to its end, and after it.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::installation::NAMESPACE;
use e2e::world::PATIENCE;
use e2e::{Installation, sources};
use serde_json::json;
use testkit::{Seen, until};

use crate::TURN;
use crate::release::{
    COLLECTED_WITHIN, asked_for_later, beside, helm, install, objects, scores, until_done, with_pools,
};

/// The release, and its namespace.
const OTHER: &str = "other";

/// What docs/operations.md says stays of such a release after `helm uninstall`.
const STAYS: [&str; 2] =
    ["Lease other/assay-operator", "PersistentVolumeClaim other/data-other-assay-postgres-0"];

/// The same of one that has the definitions and serves external metrics.
const STAYS_OF_THE_FIRST: [&str; 5] = [
    "CustomResourceDefinition scoringbatches.assay.dev",
    "CustomResourceDefinition scoringjobs.assay.dev",
    "Lease assay/assay-operator",
    "PersistentVolumeClaim assay/data-assay-postgres-0",
    "Secret assay/assay-external-metrics-tls",
];

/// What a namespace has by itself.
const OF_A_NAMESPACE: [&str; 3] =
    ["Namespace other", "ConfigMap other/kube-root-ca.crt", "ServiceAccount other/default"];

/// The pools that have scorers.
async fn pools(release: &Installation) -> Result<Vec<String>> {
    let pools = "-o=jsonpath={range .items[*]}{.metadata.labels['assay\\.dev/pool']}{'\\n'}{end}";
    let selector = "--selector=app.kubernetes.io/component=scorer";
    let pools = release.kubectl(&["get", "deployments", selector, pools]).await?;
    Ok(pools.lines().map(str::to_owned).collect())
}

async fn live(release: &Installation) -> Result<()> {
    let one = with_pools(&json!({ "default": {} }));
    helm(release, &["install", OTHER, "charts/assay"], &one).await?;
    scores(release, 1, "default").await?;

    let two = with_pools(&json!({ "default": {}, "graders": { "concurrency": 20 } }));
    helm(release, &["upgrade", OTHER, "charts/assay"], &two).await?;
    assert_eq!(pools(release).await?, ["default", "graders"]);
    scores(release, 2, "graders").await?;

    helm(release, &["upgrade", OTHER, "charts/assay"], &one).await?;
    assert_eq!(pools(release).await?, ["default"]);
    scores(release, 3, "default").await?;

    helm(release, &["rollback", OTHER, "2"], &[]).await?;
    assert_eq!(pools(release).await?, ["default", "graders"]);
    scores(release, 4, "graders").await
}

#[tokio::test]
async fn a_release_that_was_upgraded_rolled_back_and_uninstalled_leaves_what_the_documents_say() -> Result<()>
{
    let _turn = TURN.lock().await;
    let installation = Installation::from_env()?;
    let before = objects(&installation, OTHER).await?;
    beside(&installation, OTHER, async |release| {
        live(release).await?;
        helm(release, &["uninstall", OTHER], &[]).await?;
        let expected: BTreeSet<String> =
            STAYS.iter().chain(&OF_A_NAMESPACE).map(|&it| it.to_owned()).collect();
        until("only what the documents say is left", COLLECTED_WITHIN, async || {
            let now = objects(&installation, OTHER).await?;
            // The documents name them as such: what became of four jobs, and the volume by its claim.
            let is_named = |object: &String| {
                object.starts_with("ScoringJob other/") || object.starts_with("PersistentVolume pvc-")
            };
            let (named, left): (BTreeSet<String>, BTreeSet<String>) =
                now.difference(&before).cloned().partition(is_named);
            Ok(Seen::when(named.len() == 5 && left == expected, || {
                format!("{left:?} and {named:?}, not {expected:?}")
            }))
        })
        .await
    })
    .await
}

/// What is there of the first release, but for its jobs, its volume, and what `make install` makes besides.
async fn of_the_first(installation: &Installation) -> Result<BTreeSet<String>> {
    let is_its = |object: &String| {
        let (kind, name) = object.split_once(' ').unwrap_or_default();
        let by_others = ["Namespace", "Node", "CSINode", "ScoringJob", "ScoringBatch"].contains(&kind)
            || kind == "APIService" && name.ends_with(".assay.dev")
            || ["assay/administrator", "assay/default", "assay/kube-root-ca.crt"].contains(&name);
        !by_others && (name.contains(NAMESPACE) || name.ends_with(".external.metrics.k8s.io"))
    };
    Ok(objects(installation, NAMESPACE).await?.into_iter().filter(is_its).collect())
}

#[tokio::test]
async fn what_an_uninstalled_release_leaves_is_taken_up_by_the_next() -> Result<()> {
    let _turn = TURN.lock().await;
    let installation = Installation::from_env()?;
    let api = installation.reach().await?.api;
    let done = api.submit_and_score(&sources::python(1), "default").await?;
    let later = asked_for_later(&api, Duration::from_secs(30)).await?;
    let score = api.job_once_ended(done, PATIENCE).await?["score"].clone();
    let [of_done, of_later] = [done, later].map(|job| format!("scoringjob/{job}"));
    installation.kubectl(&["wait", &of_done, "--for=condition=Complete", "--timeout=30s"]).await?;
    installation.kubectl(&["wait", &of_later, "--for=create", "--timeout=30s"]).await?;

    helm(&installation, &["uninstall", NAMESPACE], &[]).await?;
    let left = until("only what the documents say is left", COLLECTED_WITHIN, async || {
        let now = of_the_first(&installation).await?;
        let expected: BTreeSet<String> = STAYS_OF_THE_FIRST.iter().map(|&it| it.to_owned()).collect();
        Ok(Seen::when(now == expected, || format!("{now:?}, not {expected:?}")))
    })
    .await;
    install(&[]).await?;
    left?;

    let api = installation.reach().await?.api;
    let shown = api.job(done).await?;
    assert_eq!((&shown["status"], &shown["score"]), (&json!("DONE"), &score), "{shown}");
    installation.kubectl(&["get", &of_done]).await.context("the resource of what was done")?;
    until_done(&api, later).await?;
    let complete = ["wait", &of_later, "--for=condition=Complete", "--timeout=30s"];
    installation.kubectl(&complete).await.map(drop)
}

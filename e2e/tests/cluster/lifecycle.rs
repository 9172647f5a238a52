//! A release from its installation to its end, beside the other.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::world::PATIENCE;
use e2e::{Installation, sources};
use serde_json::{Value, json};
use testkit::{Seen, until};

use crate::TURN;

/// The release, and its namespace.
const OTHER: &str = "other";

/// What docs/operations.md says stays of such a release after `helm uninstall`.
const STAYS: [&str; 2] =
    ["Lease other/assay-operator", "PersistentVolumeClaim other/data-other-assay-postgres-0"];

/// What a namespace has by itself.
const OF_A_NAMESPACE: [&str; 3] =
    ["Namespace other", "ConfigMap other/kube-root-ca.crt", "ServiceAccount other/default"];

/// How long what belongs to others that are gone may be there.
const COLLECTED_WITHIN: Duration = Duration::from_secs(60);

/// Every object that a release could have made: outside of namespaces, in its own, and in the system's.
async fn objects(installation: &Installation) -> Result<BTreeSet<String>> {
    // Events come and go by themselves, and metrics are no objects.
    let is_object = |kind: &&str| !kind.starts_with("events") && !kind.ends_with(".external.metrics.k8s.io");
    let kinds = installation.kubectl(&["api-resources", "--verbs=list", "-o=name"]).await?;
    let kinds: Vec<&str> = kinds.lines().filter(is_object).collect();
    ensure!(kinds.len() > 40, "kubectl knows only {kinds:?}");
    let line = "{{range .items}}{{.kind}} {{with .metadata.namespace}}{{.}}/{{end}}{{.metadata.name}}{{\"\\n\"}}{{end}}";
    let template = format!("-o=go-template={line}");
    let all = installation.kubectl(&["get", &kinds.join(","), "--all-namespaces", &template]).await?;
    let can_be_its = |object: &&str| {
        let name = object.split_whitespace().nth(1).unwrap_or_default();
        name.split_once('/').is_none_or(|(namespace, _)| [OTHER, "kube-system"].contains(&namespace))
    };
    Ok(all.lines().filter(can_be_its).map(str::to_owned).collect())
}

/// The pools that have scorers.
async fn pools(release: &Installation) -> Result<Vec<String>> {
    let pools = "-o=jsonpath={range .items[*]}{.metadata.labels['assay\\.dev/pool']}{'\\n'}{end}";
    let selector = "--selector=app.kubernetes.io/component=scorer";
    let pools = release.kubectl(&["get", "deployments", selector, pools]).await?;
    Ok(pools.lines().map(str::to_owned).collect())
}

/// Has something scored in this pool.
async fn scores(release: &Installation, number: usize, pool: &str) -> Result<()> {
    let reached = release.reach().await?;
    let submission = reached.api.submit(&sources::python(number)).await?;
    let job = reached.api.ask(&json!({ "submissionId": submission, "pool": pool })).await?.job()?;
    let shown = reached.api.job_once_ended(job, PATIENCE).await?;
    ensure!(shown["status"] == "DONE", "in the pool {pool}: {shown}");
    let resource = format!("scoringjob/{job}");
    release.kubectl(&["wait", &resource, "--for=condition=Complete", "--timeout=30s"]).await.map(drop)
}

/// The options of an installation with these pools.
fn with_pools(pools: &Value) -> Vec<String> {
    vec![
        "--values=hack/cluster/values.yaml".to_owned(),
        "--set=crds.install=false,externalMetrics.enabled=false,scorer.defaults.autoscaling.kind=none"
            .to_owned(),
        format!("--set-json=scorer.pools={pools}"),
    ]
}

async fn helm(release: &Installation, args: &[&str], options: &[String]) -> Result<()> {
    let begun = Instant::now();
    let options = options.iter().map(String::as_str).chain(["--wait", "--timeout=5m"]);
    release.helm(&args.iter().copied().chain(options).collect::<Vec<_>>()).await?;
    println!("helm {}: {:.1?}", args.join(" "), begun.elapsed());
    Ok(())
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
    let release = installation.beside(OTHER);
    let before = objects(&installation).await?;
    installation.kubectl(&["create", "namespace", OTHER]).await?;
    let policy = "pod-security.kubernetes.io/enforce=restricted";
    installation.kubectl(&["label", "namespace", OTHER, policy]).await?;

    let lived = live(&release).await;
    let left = async {
        lived?;
        helm(&release, &["uninstall", OTHER], &[]).await?;
        let expected: BTreeSet<String> =
            STAYS.iter().chain(&OF_A_NAMESPACE).map(|&it| it.to_owned()).collect();
        until("only what the documents say is left", COLLECTED_WITHIN, async || {
            let now = objects(&installation).await?;
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
    }
    .await;
    // Whatever went wrong, it does not stand in the way of others.
    release.helm(&["uninstall", OTHER, "--ignore-not-found", "--wait"]).await?;
    installation.kubectl(&["delete", "namespace", OTHER, "--wait=false"]).await?;
    left?;
    until("nothing is left at all", COLLECTED_WITHIN, async || {
        let now = objects(&installation).await?;
        let new: Vec<&String> = now.difference(&before).collect();
        let gone: Vec<&String> = before.difference(&now).collect();
        Ok(Seen::when(new.is_empty() && gone.is_empty(), || format!("new: {new:?}, gone: {gone:?}")))
    })
    .await
}

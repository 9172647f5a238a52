//! Releases: the first, which `make install` makes, and others beside it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::api::Api;
use e2e::chart::root;
use e2e::world::PATIENCE;
use e2e::{Installation, sources};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use testkit::{Seen, until};
use tokio::process::Command;
use uuid::Uuid;

/// How long what belongs to others that are gone may be there.
pub(crate) const COLLECTED_WITHIN: Duration = Duration::from_secs(60);

/// Every object that a release in this namespace could have made: outside of namespaces, there, and in the system's.
pub(crate) async fn objects(installation: &Installation, namespace: &str) -> Result<BTreeSet<String>> {
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
        name.split_once('/').is_none_or(|(of, _)| [namespace, "kube-system"].contains(&of))
    };
    Ok(all.lines().filter(can_be_its).map(str::to_owned).collect())
}

/// Installs the first release once more, as `make install` does, with these options besides.
pub(crate) async fn install(options: &[&str]) -> Result<()> {
    let installed = Command::new(root().join("hack/cluster/install.sh")).args(options).output().await?;
    ensure!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    Ok(())
}

/// The options of an installation with these pools.
pub(crate) fn with_pools(pools: &Value) -> Vec<String> {
    vec![
        "--values=hack/cluster/values.yaml".to_owned(),
        "--set=crds.install=false,externalMetrics.enabled=false,scorer.defaults.autoscaling.kind=none"
            .to_owned(),
        format!("--set-json=scorer.pools={pools}"),
    ]
}

/// Runs helm and waits until what it changes is ready.
pub(crate) async fn helm(release: &Installation, args: &[&str], options: &[String]) -> Result<()> {
    let begun = Instant::now();
    let options = options.iter().map(String::as_str).chain(["--wait", "--timeout=5m"]);
    release.helm(&args.iter().copied().chain(options).collect::<Vec<_>>()).await?;
    println!("helm {}: {:.1?}", args.join(" "), begun.elapsed());
    Ok(())
}

/// Has something scored in this pool, and shown by its resource.
pub(crate) async fn scores(release: &Installation, number: usize, pool: &str) -> Result<()> {
    let reached = release.reach().await?;
    let submission = reached.api.submit(&sources::python(number)).await?;
    // A gateway that is on its way out knows the pools of before, and is still asked for a moment.
    let job = until("the gateways know the pool", PATIENCE, async || {
        let answer = reached.api.ask(&json!({ "submissionId": submission, "pool": pool })).await?;
        Ok(if answer.code() == "unknown_pool" {
            Seen::NotYet(format!("{answer:?}"))
        } else {
            Seen::Yes(answer.job()?)
        })
    })
    .await?;
    let shown = reached.api.job_once_ended(job, PATIENCE).await?;
    ensure!(shown["status"] == "DONE", "in the pool {pool}: {shown}");
    let resource = format!("scoringjob/{job}");
    release.kubectl(&["wait", &resource, "--for=condition=Complete", "--timeout=30s"]).await.map(drop)
}

/// Asks for a score that is not to be begun before so long.
pub(crate) async fn asked_for_later(api: &Api, after: Duration) -> Result<Uuid> {
    let submission = api.submit(&sources::python(0)).await?;
    let not_before = Timestamp::now() + SignedDuration::try_from(after)?;
    api.ask(&json!({ "submissionId": submission, "notBefore": not_before.to_string() })).await?.job()
}

/// Waits until a job is done that was asked for later, and may still not be due for as long as it takes to install.
pub(crate) async fn until_done(api: &Api, job: Uuid) -> Result<()> {
    until("it is done", 4 * PATIENCE, async || {
        let shown = api.job(job).await?;
        Ok(Seen::when(shown["status"] == "DONE", || shown.to_string()))
    })
    .await
}

/// Has a release of this name used in a namespace of its own. Takes both away afterwards, whatever came of it, and makes
/// sure that nothing of them is left.
pub(crate) async fn beside(
    installation: &Installation,
    name: &str,
    used: impl AsyncFnOnce(&Installation) -> Result<()>,
) -> Result<()> {
    let before = objects(installation, name).await?;
    installation.kubectl(&["create", "namespace", name]).await?;
    let policy = "pod-security.kubernetes.io/enforce=restricted";
    installation.kubectl(&["label", "namespace", name, policy]).await?;
    let release = installation.beside(name);
    let done = used(&release).await;
    release.helm(&["uninstall", name, "--ignore-not-found", "--wait"]).await?;
    installation.kubectl(&["delete", "namespace", name, "--wait=false"]).await?;
    done?;
    until("nothing is left at all", COLLECTED_WITHIN, async || {
        let now = objects(installation, name).await?;
        let new: Vec<&String> = now.difference(&before).collect();
        let gone: Vec<&String> = before.difference(&now).collect();
        Ok(Seen::when(new.is_empty() && gone.is_empty(), || format!("new: {new:?}, gone: {gone:?}")))
    })
    .await
}

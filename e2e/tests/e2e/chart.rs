//! The chart, by helm and a real API server. Whether what it makes works is for the tests on real Pods (`make e2e`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_yaml_ng::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Kinds that other projects define. Whether an API server takes them can be tried only where these are installed.
const FOREIGN: [&str; 5] = ["ServiceMonitor", "PodMonitor", "PrometheusRule", "ScaledObject", "HTTPRoute"];

fn root() -> Result<PathBuf> {
    Ok(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?)
}

/// The helm that `hack/setup.sh tests` has brought, or the one that was named.
async fn helm() -> Result<Command> {
    const FIND: &str = "source hack/cluster/place.sh && helm_to_use";
    let found = Command::new("bash").args(["-c", FIND]).current_dir(root()?).output().await?;
    ensure!(found.status.success(), "no helm: {}", String::from_utf8_lossy(&found.stderr));
    let mut command = Command::new(String::from_utf8(found.stdout)?.trim());
    command.current_dir(root()?);
    Ok(command)
}

/// What the chart makes of a file of values, or helm's complaint.
async fn template(release: &str, namespace: &str, more: &[&str]) -> Result<Result<String, String>> {
    let mut command = helm().await?;
    command.args(["template", release, "charts/assay", "--namespace", namespace]).args(more);
    let output = command.output().await?;
    let (out, complaint) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    Ok(if output.status.success() { Ok(out) } else { Err(complaint) })
}

fn objects(manifests: &str) -> Result<Vec<Value>> {
    let documents = manifests.split("\n---\n").map(serde_yaml_ng::from_str::<Value>);
    let objects = documents.collect::<Result<Vec<_>, _>>()?;
    Ok(objects.into_iter().filter(|object| !object.is_null()).collect())
}

fn kind(object: &Value) -> &str {
    object["kind"].as_str().unwrap_or_default()
}

fn installations() -> Result<Vec<PathBuf>> {
    let mut files = std::fs::read_dir(root()?.join("charts/assay/ci"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

#[tokio::test]
async fn helm_finds_no_fault_with_the_chart() -> Result<()> {
    for values in installations()? {
        let output = helm()
            .await?
            .args(["lint", "--strict", "charts/assay", "--values"])
            .arg(&values)
            .output()
            .await?;
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {said}", values.display());
    }
    Ok(())
}

#[tokio::test]
async fn an_api_server_takes_every_object_of_a_dozen_installations() -> Result<()> {
    let kubernetes = testkit::kubernetes().await?;
    let files = installations()?;
    ensure!(files.len() >= 12, "only {} installations", files.len());
    for values in files {
        let namespace = testkit::fresh_namespace().await?;
        // A controller manager would make it.
        testkit::kubectl(&["create", "serviceaccount", "default", "--namespace", &namespace]).await?;
        let path = values.to_str().context("a path in UTF-8")?;
        let made = template("assay", &namespace, &["--values", path]).await?;
        let objects = objects(&made.map_err(|complaint| anyhow::anyhow!("{path}: {complaint}"))?)?;
        let (foreign, own): (Vec<_>, Vec<_>) =
            objects.into_iter().partition(|object| FOREIGN.contains(&kind(object)));
        for object in foreign {
            ensure!(
                object["spec"].is_mapping() && object["metadata"]["name"].is_string(),
                "{path}: {object:?}"
            );
        }
        ensure!(own.len() > 10, "{path}: only {} objects", own.len());
        // Written as YAML again, some texts would be something else to kubectl.
        let items = own.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;
        let text = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
        let mut kubectl = Command::new(&kubernetes.kubectl)
            .env("KUBECONFIG", &kubernetes.kubeconfig)
            .args(["apply", "--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts"])
            .args(["--filename", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("run kubectl")?;
        kubectl.stdin.take().context("its input")?.write_all(text.as_bytes()).await?;
        let output = kubectl.wait_with_output().await?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{path}: {complaint}");
        ensure!(!complaint.contains("Warning"), "{path}: {complaint}");
        let taken = String::from_utf8_lossy(&output.stdout).lines().count();
        ensure!(taken == own.len(), "{path}: {taken} of {} were taken", own.len());
    }
    Ok(())
}

/// What somebody may write by mistake, and the words that tell them which.
const MISTAKES: [(&str, &[&str]); 14] = [
    ("gateway.replica=3", &["replica", "not allowed"]),
    ("gateway.replicas=three", &["/gateway/replicas"]),
    ("gateway.replicas=-1", &["/gateway/replicas"]),
    ("image.pullPolicy=Sometimes", &["/image/pullPolicy"]),
    ("scorer.lease=half a minute", &["/scorer/lease"]),
    ("gateway.rateLimits.addressReads=many", &["/gateway/rateLimits/addressReads"]),
    ("scorer.pools.Big_Pool.concurrency=5", &["Big_Pool"]),
    ("scorer.defaults.autoscaling.kind=hpa", &["externalMetrics.enabled"]),
    ("scorer.defaults.autoscaling.kind=vpa", &["/scorer/defaults/autoscaling/kind"]),
    (
        "gateway.auth.jwks.url=https://issuer.example.org/keys",
        &["gateway.auth.issuer", "gateway.auth.audiences"],
    ),
    ("postgres.pooled=true", &["postgres.migrationUrlKey"]),
    ("redis.ca.secretName=authorities", &["redis.existingSecret"]),
    ("rbac.clusterScoped=false", &["operator.allNamespaces=false"]),
    ("httpRoute.enabled=true", &["httpRoute.parentRefs"]),
];

#[tokio::test]
async fn wrong_values_are_refused_in_words_that_name_the_mistake() -> Result<()> {
    for (mistake, words) in MISTAKES {
        let Err(complaint) = template("assay", "assay", &["--set", mistake]).await? else {
            anyhow::bail!("{mistake} is taken");
        };
        for word in words {
            ensure!(complaint.contains(word), "of {mistake} is said, without {word}: {complaint}");
        }
    }
    Ok(())
}

/// What tells objects apart in a cluster: kind and name of those that belong to no namespace, and of those in others than
/// the release's.
async fn outside(release: &str, namespace: &str) -> Result<BTreeSet<String>> {
    let more = ["--set", "operator.allNamespaces=false,crds.install=false"];
    let made = template(release, namespace, &more).await?.map_err(anyhow::Error::msg)?;
    let outside = objects(&made)?.into_iter().filter(|object| object["metadata"]["namespace"] != namespace);
    Ok(outside
        .map(|object| {
            format!("{} {}", kind(&object), object["metadata"]["name"].as_str().unwrap_or_default())
        })
        .collect())
}

#[tokio::test]
async fn several_releases_in_a_cluster_have_no_object_in_common() -> Result<()> {
    let (first, second) = (outside("assay", "one").await?, outside("assay", "two").await?);
    ensure!(!first.is_empty(), "nothing belongs to the whole cluster?");
    let common: Vec<_> = first.intersection(&second).collect();
    ensure!(common.is_empty(), "{common:?}");
    Ok(())
}

#[tokio::test]
async fn a_release_in_a_namespace_alone_makes_nothing_outside_of_it() -> Result<()> {
    let values = root()?.join("charts/assay/ci/namespaced-values.yaml");
    let values = values.to_str().context("a path in UTF-8")?;
    let made = template("assay", "mine", &["--values", values]).await?.map_err(anyhow::Error::msg)?;
    for object in objects(&made)? {
        let metadata = &object["metadata"];
        ensure!(metadata["namespace"] == "mine", "{} {:?}", kind(&object), metadata["name"]);
    }
    Ok(())
}

/// What a program takes from the environment.
async fn settings(program: &str) -> Result<BTreeSet<String>> {
    let program = testkit::program_folder()?.join(program);
    let help = String::from_utf8(Command::new(program).arg("--help").output().await?.stdout)?;
    let after = help.split("[env: ").skip(1);
    Ok(after.filter_map(|rest| rest.split(['=', ']']).next()).map(str::to_owned).collect())
}

#[tokio::test]
async fn the_chart_sets_nothing_that_a_program_does_not_know() -> Result<()> {
    for values in installations()? {
        let path = values.to_str().context("a path in UTF-8")?;
        let made = template("assay", "assay", &["--values", path]).await?.map_err(anyhow::Error::msg)?;
        for object in objects(&made)?.iter().filter(|object| kind(object) == "Deployment") {
            for container in
                object["spec"]["template"]["spec"]["containers"].as_sequence().context("containers")?
            {
                let known = settings(container["name"].as_str().context("a name")?).await?;
                for variable in container["env"].as_sequence().context("an environment")? {
                    let name = variable["name"].as_str().context("a name")?;
                    ensure!(
                        known.contains(name) || name == "PGSSLROOTCERT",
                        "{path}: {name} of {:?}",
                        container["name"]
                    );
                }
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_chart_has_the_definitions_that_are_made_from_the_types() -> Result<()> {
    let read = |folder: &str| -> Result<Vec<(String, String)>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(root()?.join(folder))? {
            let entry = entry?;
            let name = entry.file_name().into_string().ok().context("a name in UTF-8")?;
            files.push((name, std::fs::read_to_string(entry.path())?));
        }
        files.sort();
        Ok(files)
    };
    assert_eq!(read("charts/assay/definitions")?, read("crds")?);
    Ok(())
}

//! Several releases in one cluster.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use e2e::chart::{folder, helm};
use serde::Deserialize;
use serde_json::Value;

/// Kind, namespace and name of all objects of a release.
async fn objects(release: &str, namespace: &str) -> Result<BTreeSet<(String, String, String)>> {
    let folder = folder();
    let chart = folder.to_str().context("a path of ASCII")?;
    let set = "crds.install=false,operator.allNamespaces=false,gateway.auth.tokenReview.enabled=true";
    let text = helm(&["template", release, chart, "--namespace", namespace, "--set", set]).await?;
    let mut found = BTreeSet::new();
    for document in serde_yaml_ng::Deserializer::from_str(&text) {
        let object = Value::deserialize(document)?;
        if !object.is_null() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let metadata = &object["metadata"];
            found.insert((text(&object["kind"]), text(&metadata["namespace"]), text(&metadata["name"])));
        }
    }
    Ok(found)
}

#[tokio::test]
async fn no_two_releases_have_an_object_in_common() -> Result<()> {
    // Names that would fall together if they were put together carelessly.
    let releases =
        [("assay", "one"), ("assay", "two"), ("b", "a"), ("b-a", "a-b"), ("a-b", "b"), ("grading", "one-b")];
    let mut seen = BTreeSet::new();
    for (release, namespace) in releases {
        for object in objects(release, namespace).await? {
            ensure!(
                object.1 == namespace || object.1.is_empty(),
                "{release} makes {object:?} outside of its namespace"
            );
            ensure!(seen.insert(object.clone()), "{object:?} is in two releases");
        }
    }
    let cluster_scoped = seen.iter().filter(|(_, namespace, _)| namespace.is_empty()).count();
    ensure!(cluster_scoped > releases.len(), "only {cluster_scoped} objects outside of namespaces");
    Ok(())
}

#[tokio::test]
async fn a_release_of_a_namespace_makes_nothing_outside_of_it() -> Result<()> {
    let values = folder().join("ci/namespaced-values.yaml");
    let values = values.to_str().context("a path of ASCII")?;
    let rendered = e2e::chart::rendered("assay", &["--values", values]).await?;
    for object in &rendered.objects {
        ensure!(object["metadata"]["namespace"] == "assay", "{}", object["metadata"]);
    }
    Ok(())
}

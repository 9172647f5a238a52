//! Files that the chart has of others.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use e2e::chart::{folder, rendered, root, values};
use serde_json::Value;

fn texts(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        found.insert(entry.file_name().to_string_lossy().into_owned(), fs::read_to_string(entry.path())?);
    }
    Ok(found)
}

#[tokio::test]
async fn the_definitions_in_the_chart_are_those_of_the_operator() -> Result<()> {
    let ours = texts(&root().join("crds"))?;
    assert_eq!(ours, texts(&folder().join("definitions"))?, "run make crds");
    let rendered = rendered("assay", &[]).await?;
    for text in ours.values() {
        let mut definition: Value = serde_yaml_ng::from_str(text)?;
        let name = definition["metadata"]["name"].as_str().context("a name")?.to_owned();
        definition["metadata"]["annotations"]["helm.sh/resource-policy"] = "keep".into();
        assert_eq!(rendered.object("CustomResourceDefinition", &name)?, &definition);
    }
    Ok(())
}

#[tokio::test]
async fn the_dashboard_is_installed_as_it_is() -> Result<()> {
    let rendered = rendered("assay", &["--set", "monitoring.dashboard=true"]).await?;
    let dashboard: Value =
        serde_json::from_str(&fs::read_to_string(folder().join("dashboards/assay.json"))?)?;
    let installed = &rendered.object("ConfigMap", "assay-dashboard")?["data"]["assay.json"];
    assert_eq!(serde_json::from_str::<Value>(installed.as_str().context("a text")?)?, dashboard);
    Ok(())
}

#[tokio::test]
async fn the_chart_has_the_version_of_the_programs() -> Result<()> {
    let chart: Value = serde_yaml_ng::from_str(&fs::read_to_string(folder().join("Chart.yaml"))?)?;
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    Ok(())
}

#[tokio::test]
async fn the_document_of_the_values_is_what_their_comments_say() -> Result<()> {
    let written = fs::read_to_string(root().join("docs/values.md"))?;
    assert!(written == values::document().await?, "docs/values.md differs: run make values");
    Ok(())
}

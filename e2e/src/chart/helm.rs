//! Helm, and the objects that it makes of the chart.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;
use tokio::process::Command;

use super::{folder, root};
use crate::tool::tool;

/// What the chart becomes.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// As YAML.
    pub text: String,
    /// Each object by itself.
    pub objects: Vec<Value>,
}

/// Runs helm in the repository: the one in `ASSAY_HELM`, the one that `make test` brought, or one that is installed.
///
/// # Errors
/// When there is none, or it complains; the error is what it says.
pub async fn helm(arguments: &[&str]) -> Result<String> {
    let program = tool("helm", "ASSAY_HELM");
    let output =
        Command::new(&program).args(arguments).current_dir(root()).output().await.with_context(|| {
            format!("{} cannot be run: hack/setup.sh tests brings it, as make test does", program.display())
        })?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "helm {}: {said}{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(said)
}

/// What `helm template` makes of the chart for the release `assay` in this namespace.
///
/// # Errors
/// When helm refuses the values, or what it makes is no YAML.
pub async fn rendered(namespace: &str, arguments: &[&str]) -> Result<Rendered> {
    let folder = folder();
    let chart = folder.to_str().context("the chart's path is UTF-8")?;
    let text = helm(&[&["template", "assay", chart, "--namespace", namespace], arguments].concat()).await?;
    let mut objects = Vec::new();
    for document in serde_yaml_ng::Deserializer::from_str(&text) {
        let object = Value::deserialize(document).with_context(|| format!("helm made no YAML: {text}"))?;
        if !object.is_null() {
            objects.push(object);
        }
    }
    Ok(Rendered { text, objects })
}

impl Rendered {
    /// The object of this kind and name.
    ///
    /// # Errors
    /// When there is none.
    pub fn object(&self, kind: &str, name: &str) -> Result<&Value> {
        self.of_kind(kind)
            .find(|object| object["metadata"]["name"] == name)
            .with_context(|| format!("there is no {kind} {name}"))
    }

    /// All objects of this kind.
    pub fn of_kind<'r>(&'r self, kind: &str) -> impl Iterator<Item = &'r Value> {
        self.objects.iter().filter(move |object| object["kind"] == kind)
    }

    /// The environment of the container of this Deployment: a variable's name, and its value where that stands there.
    ///
    /// # Errors
    /// When there is no such Deployment.
    pub fn environment(&self, deployment: &str) -> Result<Vec<(String, Option<String>)>> {
        let deployment = self.object("Deployment", deployment)?;
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let variables = container["env"].as_array().context("a container has variables")?;
        Ok(variables
            .iter()
            .map(|variable| {
                let text = |key: &str| variable[key].as_str().map(str::to_owned);
                (text("name").unwrap_or_default(), text("value"))
            })
            .collect())
    }
}

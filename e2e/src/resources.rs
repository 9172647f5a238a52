//! Custom resources, as kubectl shows and makes them.

use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testkit::TempFolder;
use uuid::Uuid;

use crate::world::World;

/// A resource as it is on the API server.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource(pub Value);

impl Resource {
    /// Its name.
    pub fn name(&self) -> &str {
        self.0["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// Its uid, which is the job's or batch's id if it was made with kubectl.
    ///
    /// # Errors
    /// When it has none.
    pub fn uid(&self) -> Result<Uuid> {
        let uid = self.0["metadata"]["uid"].as_str().context("a resource without uid")?;
        Ok(uid.parse()?)
    }

    /// A field of its status; null when it is not there.
    pub fn status(&self, field: &str) -> &Value {
        &self.0["status"][field]
    }

    /// Its phase.
    pub fn phase(&self) -> &str {
        self.status("phase").as_str().unwrap_or_default()
    }

    /// The condition of this type, if it is true.
    pub fn condition(&self, kind: &str) -> Option<&Value> {
        let conditions = self.status("conditions").as_array()?;
        conditions.iter().find(|condition| condition["type"] == kind && condition["status"] == "True")
    }
}

impl World {
    /// All resources of a kind in the stack's namespace.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn resources(&self, kind: &str) -> Result<Vec<Resource>> {
        let listed = self.stack.kubectl(&["get", kind, "--output=json"]).await?;
        let mut listed: Value = serde_json::from_str(&listed).context("kubectl prints JSON")?;
        let items = listed["items"].as_array_mut().context("kubectl lists items")?;
        Ok(items.drain(..).map(Resource).collect())
    }

    /// One resource: `sj/NAME`.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn resource(&self, name: &str) -> Result<Resource> {
        let shown = self.stack.kubectl(&["get", name, "--output=json"]).await?;
        Ok(Resource(serde_json::from_str(&shown).context("kubectl prints JSON")?))
    }

    /// Makes a resource with kubectl.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub async fn create(&self, kind: &str, name: &str, spec: Value) -> Result<Resource> {
        self.create_annotated(kind, name, json!({}), spec).await
    }

    /// Makes a resource with annotations.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub async fn create_annotated(
        &self,
        kind: &str,
        name: &str,
        annotations: Value,
        spec: Value,
    ) -> Result<Resource> {
        let metadata = json!({ "name": name, "annotations": annotations });
        let manifest =
            json!({ "apiVersion": "assay.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec });
        let folder = TempFolder::new()?;
        let file = folder.path().join("manifest.json");
        fs::write(&file, manifest.to_string()).context("write a manifest")?;
        let file = file.to_str().context("the path of a manifest is not UTF-8")?;
        let made = self.stack.kubectl(&["create", "--output=json", "--filename", file]).await?;
        Ok(Resource(serde_json::from_str(&made).context("kubectl prints JSON")?))
    }

    /// Changes the spec of a resource: `sj/NAME`.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub async fn change(&self, name: &str, spec: Value) -> Result<()> {
        let patch = json!({ "spec": spec }).to_string();
        self.stack.kubectl(&["patch", name, "--type=merge", "--patch", &patch]).await.map(drop)
    }

    /// Waits, as kubectl does, until something holds of a resource, which need not be there yet:
    /// `condition=Complete`, `jsonpath=…`.
    ///
    /// # Errors
    /// When it does not within 30 s.
    pub async fn kubectl_wait(&self, name: &str, what: &str) -> Result<()> {
        let what = format!("--for={what}");
        self.stack.kubectl(&["wait", name, "--for=create", "--timeout=30s"]).await?;
        self.stack.kubectl(&["wait", name, &what, "--timeout=30s"]).await.map(drop)
    }

    /// Waits, as kubectl does, until a resource is gone.
    ///
    /// # Errors
    /// When it is not within 30 s.
    pub async fn kubectl_wait_gone(&self, name: &str) -> Result<()> {
        self.stack.kubectl(&["wait", name, "--for=delete", "--timeout=30s"]).await.map(drop)
    }
}

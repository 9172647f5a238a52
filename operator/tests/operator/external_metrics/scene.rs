//! A control plane with an APIService that leads to the operators of a test.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::{APIService, APIServiceCondition};
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::{Value, json};
use testkit::{ControlPlane, ControlPlaneOptions, Kubernetes, Place, TempFolder, free_port};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::world::{Running, World, eventually};

/// The name of the Service, and what is made of it.
pub(crate) const SERVICE: &str = "metrics";
pub(crate) const SECRET: &str = "metrics-tls";
pub(crate) const API_SERVICE: &str = "v1beta1.external.metrics.k8s.io";

/// A cluster has one APIService of external metrics: tests take turns.
static TURN: Mutex<()> = Mutex::const_new(());

/// A test's surroundings, and its turn.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) kubernetes: Kubernetes,
    /// Where the API server looks for external metrics.
    pub(crate) port: u16,
    _turn: MutexGuard<'static, ()>,
}

/// One for all these tests: unlike the one that is shared with others, it aggregates, and has a controller manager.
pub(crate) async fn control_plane() -> Result<&'static ControlPlane> {
    static SHARED: OnceCell<(ControlPlane, TempFolder)> = OnceCell::const_new();
    let start = async || {
        let folder = TempFolder::new()?;
        let options = ControlPlaneOptions { controller_manager: true };
        let control_plane = ControlPlane::start(&Place::owned(folder.path()), &options).await?;
        control_plane.kubernetes().apply_definitions().await?;
        anyhow::Ok((control_plane, folder))
    };
    Ok(&SHARED.get_or_try_init(start).await?.0)
}

impl Scene {
    /// With an APIService that nobody answers for yet.
    pub(crate) async fn new() -> Result<Scene> {
        let turn = TURN.lock().await;
        runtime::use_ring();
        let kubernetes = control_plane().await?.kubernetes();
        let world = World::on(&kubernetes).await?;
        let port = free_port()?;
        let service: Service = serde_json::from_value(json!({
            "metadata": { "name": SERVICE },
            "spec": { "type": "ExternalName", "externalName": "localhost", "ports": [{ "port": port }] },
        }))?;
        world.create(&service).await?;
        let services: Api<APIService> = Api::all(world.client.clone());
        if services.get_opt(API_SERVICE).await?.is_some() {
            services.delete(API_SERVICE, &DeleteParams::default()).await?;
            let gone = async || Ok(services.get_opt(API_SERVICE).await?.map(|service| service.metadata));
            eventually("the last test's APIService is gone", gone, Option::is_none).await?;
        }
        let service: APIService = serde_json::from_value(json!({
            "metadata": { "name": API_SERVICE },
            "spec": {
                "group": "external.metrics.k8s.io",
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "service": { "namespace": world.namespace, "name": SERVICE, "port": port },
            },
        }))?;
        services.create(&PostParams::default(), &service).await?;
        Ok(Scene { world, kubernetes, port, _turn: turn })
    }

    /// Starts an operator that serves external metrics where the API server looks for them.
    pub(crate) async fn operator(&self, flags: &[&str]) -> Result<Running> {
        self.operator_at("a", self.port, flags).await
    }

    /// Starts an operator that serves them at this port.
    pub(crate) async fn operator_at(&self, name: &str, port: u16, flags: &[&str]) -> Result<Running> {
        let addr = format!("127.0.0.1:{port}");
        let ours = ["--external-metrics-addr", &addr, "--external-metrics-service", SERVICE];
        self.world.operator_with(name, &[&ours, flags].concat()).await
    }

    /// Waits until the API server finds the external metrics.
    pub(crate) async fn until_available(&self) -> Result<()> {
        let services: Api<APIService> = Api::all(self.world.client.clone());
        let read = async || {
            let status = services.get(API_SERVICE).await?.status.unwrap_or_default();
            Ok(status.conditions.into_iter().flatten().find(|condition| condition.type_ == "Available"))
        };
        let is_available = |condition: &Option<_>| {
            condition.as_ref().is_some_and(|condition: &APIServiceCondition| condition.status == "True")
        };
        eventually("external metrics are available", read, is_available).await?;
        Ok(())
    }

    /// The path of a metric in the test's namespace.
    pub(crate) fn path(&self, metric: &str, selector: &str) -> String {
        path(&self.world.namespace, metric, selector)
    }

    /// What kubectl gets by way of the API server.
    pub(crate) async fn raw(&self, path: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.kubernetes.kubectl(&["get", "--raw", path]).await?)?)
    }

    /// The values of a metric of this test's pool.
    pub(crate) async fn values(&self, metric: &str) -> Result<Vec<String>> {
        let selector = format!("pool%3D{}", self.world.pool);
        let list = self.raw(&self.path(metric, &selector)).await?;
        let items = list["items"].as_array().context("items")?;
        Ok(items.iter().filter_map(|item| item["value"].as_str().map(str::to_owned)).collect())
    }

    /// What the Secret has of this name, in PEM.
    pub(crate) async fn kept(&self, key: &str) -> Result<Option<String>> {
        let Some(secret) = self.world.api::<Secret>().get_opt(SECRET).await? else { return Ok(None) };
        let value = secret.data.unwrap_or_default().remove(key);
        value.map(|value| Ok(String::from_utf8(value.0)?)).transpose()
    }

    /// Somebody who asks the operator at a port without the API server, trusts only this authority, and shows this
    /// certificate with its key, if any.
    pub(crate) fn direct(
        &self,
        port: u16,
        authority: &str,
        identity: Option<&(String, String)>,
    ) -> Result<Direct> {
        let name = format!("{SERVICE}.{}.svc", self.world.namespace);
        let mut client = reqwest::Client::builder()
            .resolve(&name, SocketAddr::from(([127, 0, 0, 1], port)))
            .timeout(Duration::from_secs(10))
            .tls_certs_only([reqwest::Certificate::from_pem(authority.as_bytes())?]);
        if let Some((certificate, key)) = identity {
            client = client.identity(reqwest::Identity::from_pem(format!("{certificate}{key}").as_bytes())?);
        }
        Ok(Direct { client: client.build()?, url: format!("https://{name}:{port}") })
    }
}

/// The path of a metric in a namespace.
pub(crate) fn path(namespace: &str, metric: &str, selector: &str) -> String {
    format!("/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{metric}?labelSelector={selector}")
}

/// Somebody who asks an operator itself.
pub(crate) struct Direct {
    client: reqwest::Client,
    url: String,
}

impl Direct {
    /// The status and the body of the answer.
    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Result<(u16, Value)> {
        let mut request = self.client.get(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }
}

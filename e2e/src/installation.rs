//! Assay as the chart has installed it on a real cluster (`make e2e`).

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use testkit::{Kubernetes, TempFolder};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::api::Api;
use crate::chart::helm;

/// The namespace that `make install` installs into.
pub const NAMESPACE: &str = "assay";

/// How long the answer of a Service's address is waited for where it may not lead anywhere from here.
const REACHES_WITHIN: Duration = Duration::from_secs(2);

/// A release of the chart.
#[derive(Debug)]
pub struct Installation {
    kubernetes: Kubernetes,
    /// Its namespace.
    namespace: String,
    /// What the names of its objects begin with.
    prefix: String,
}

/// The way to its gateways, for as long as this lives.
#[derive(Debug)]
pub struct Reached {
    /// An administrator's client.
    pub api: Api,
    _forward: Option<Child>,
}

impl Installation {
    /// The one of `make install`, on the cluster that the environment names.
    ///
    /// # Errors
    /// When it names none.
    pub fn from_env() -> Result<Installation> {
        let path = |name: &str| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .with_context(|| format!("{name} is not set: run make e2e"))
        };
        let kubernetes = Kubernetes {
            kubeconfig: path("ASSAY_CLUSTER_KUBECONFIG")?,
            kubectl: path("ASSAY_CLUSTER_KUBECTL")?,
        };
        Ok(Installation { kubernetes, namespace: NAMESPACE.to_owned(), prefix: NAMESPACE.to_owned() })
    }

    /// Another on the same cluster, installed or not, whose release and namespace have this name.
    pub fn beside(&self, name: &str) -> Installation {
        Installation {
            kubernetes: self.kubernetes.clone(),
            namespace: name.to_owned(),
            prefix: format!("{name}-assay"),
        }
    }

    /// What the release calls an object of its own.
    pub fn name_of(&self, object: &str) -> String {
        format!("{}-{object}", self.prefix)
    }

    /// Runs helm in the release's namespace; returns what it prints.
    ///
    /// # Errors
    /// When it fails, with what it complains about.
    pub async fn helm(&self, args: &[&str]) -> Result<String> {
        let kubeconfig = self.kubernetes.kubeconfig.to_str().context("the kubeconfig's path is UTF-8")?;
        helm(&[args, &["--namespace", &self.namespace, "--kubeconfig", kubeconfig]].concat()).await
    }

    /// Runs kubectl in the release's namespace; returns what it prints.
    ///
    /// # Errors
    /// When it fails, with what it complains about.
    pub async fn kubectl(&self, args: &[&str]) -> Result<String> {
        let in_namespace = [&["--namespace", &self.namespace], args].concat();
        self.kubernetes.kubectl(&in_namespace).await
    }

    /// Has kubectl create this, with these options; returns what it prints.
    ///
    /// # Errors
    /// When it fails, with what it complains about.
    pub async fn create(&self, what: &Value, options: &[&str]) -> Result<String> {
        let folder = TempFolder::new()?;
        let file = folder.path().join("what.json");
        fs::write(&file, what.to_string())?;
        let file = file.to_str().context("the path of a temporary file is UTF-8")?;
        self.kubectl(&[&["create", "-f", file], options].concat()).await
    }

    /// Reaches the gateways through their Service: by its own address where that leads there from here, else over kubectl.
    ///
    /// # Errors
    /// When they cannot be reached, or nobody gets a token.
    pub async fn reach(&self) -> Result<Reached> {
        let token = ["--namespace", NAMESPACE, "create", "token", "administrator", "--audience=assay"];
        let token = self.kubernetes.kubectl(&token).await?;
        let service = format!("service/{}", self.name_of("gateway"));
        let address = self.kubectl(&["get", &service, "-o=jsonpath={.spec.clusterIP}"]).await?;
        let address = SocketAddr::new(address.trim().parse::<IpAddr>()?, 80);
        let (url, forward) = match timeout(REACHES_WITHIN, TcpStream::connect(address)).await {
            Ok(Ok(_)) => (format!("http://{address}"), None),
            _ => {
                let (port, child) = self.forward(&service).await?;
                (format!("http://127.0.0.1:{port}"), Some(child))
            }
        };
        Ok(Reached { api: Api::new(url, token.trim())?, _forward: forward })
    }

    async fn forward(&self, service: &str) -> Result<(u16, Child)> {
        let mut child = Command::new(&self.kubernetes.kubectl)
            .env("KUBECONFIG", &self.kubernetes.kubeconfig)
            .args(["--namespace", &self.namespace, "port-forward", service, ":80"])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("run kubectl")?;
        let mut lines = BufReader::new(child.stdout.take().context("kubectl without its output")?).lines();
        // "Forwarding from 127.0.0.1:40123 -> 8080"
        let Some(line) =
            timeout(Duration::from_secs(30), lines.next_line()).await.context("kubectl says nothing")??
        else {
            bail!("kubectl port-forward has ended");
        };
        let port = line
            .split_whitespace()
            .nth(2)
            .and_then(|from| from.rsplit(':').next())
            .and_then(|port| port.parse().ok());
        // Whoever closes the pipe ends kubectl at the next connection.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok((port.with_context(|| format!("no port in {line:?}"))?, child))
    }
}

//! Reaching Kubernetes.

use runtime::in_full;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// How long the API server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long it may take to answer: one that never does must not hold up the relay.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A cluster that need not be there yet.
pub(crate) struct Cluster {
    kubeconfig: Option<String>,
    client: Option<Client>,
}

impl Cluster {
    /// By kubeconfig files, separated by colons, or else as a Pod reaches its cluster.
    pub(crate) fn new(kubeconfig: Option<String>) -> Cluster {
        Cluster { kubeconfig: kubeconfig.filter(|files| !files.is_empty()), client: None }
    }

    /// A client, made at the first call.
    ///
    /// # Errors
    /// When there is nothing to make one from, in words.
    pub(crate) async fn client(&mut self) -> Result<Client, String> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let mut config = match &self.kubeconfig {
            Some(files) => from_files(files).await?,
            None => Config::incluster().map_err(|error| {
                format!("KUBECONFIG is not set, and this is not a Pod: {}", in_full(&error))
            })?,
        };
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        config.read_timeout = Some(REQUEST_TIMEOUT);
        config.write_timeout = Some(REQUEST_TIMEOUT);
        // The relay has its own way to try again.
        config.default_retry = false;
        let client = Client::try_from(config).map_err(|error| in_full(&error))?;
        Ok(self.client.insert(client).clone())
    }

    /// The next client is made anew: the files may have changed.
    pub(crate) fn forget(&mut self) {
        self.client = None;
    }
}

async fn from_files(files: &str) -> Result<Config, String> {
    let mut merged = Kubeconfig::default();
    for file in std::env::split_paths(files) {
        let read = Kubeconfig::read_from(&file)
            .map_err(|error| format!("{}: {}", file.display(), in_full(&error)))?;
        merged = merged.merge(read).map_err(|error| in_full(&error))?;
    }
    Config::from_custom_kubeconfig(merged, &KubeConfigOptions::default())
        .await
        .map_err(|error| in_full(&error))
}

//! A whole Assay: servers, gateways, operators and scorers.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::control_plane::ControlPlane;
use crate::credentials::Credentials;
use crate::folder::TempFolder;
use crate::postgres::Postgres;
use crate::process::log_tail;
use crate::redis::Redis;
use crate::servers::Servers;
use crate::service::Service;
use crate::stack_builder::StackBuilder;

/// A running Assay. Dropping one that was started for a test ends all its processes and removes its folder.
#[derive(Debug)]
pub struct Stack {
    /// Gateways.
    pub gateways: Vec<Service>,
    /// Operators.
    pub operators: Vec<Service>,
    /// Scorers.
    pub scorers: Vec<Service>,
    /// Postgres, Redis and the cluster.
    pub servers: Servers,
    /// Namespace of the gateway's resources.
    pub namespace: String,
    /// An admin's token for its gateways, of the tenant `default`.
    pub token: String,
    /// What makes others.
    pub credentials: Credentials,
    /// Last, so that it goes after the processes that use it.
    pub(crate) folder: Option<TempFolder>,
}

impl Stack {
    /// Starts to describe a stack: by default one gateway, one operator and one scorer, on servers of its own.
    pub fn builder() -> StackBuilder {
        StackBuilder::default()
    }

    /// URL of the first gateway.
    pub fn url(&self) -> String {
        self.gateways[0].url()
    }

    /// The control plane, in a stack that has its own.
    pub fn own_control_plane(&self) -> Result<&ControlPlane> {
        self.servers.control_plane.as_ref().context("this stack has no control plane of its own")
    }

    /// Postgres, in a stack that has its own.
    pub fn own_postgres(&self) -> Result<&Postgres> {
        self.servers.postgres.as_ref().context("this stack has no Postgres of its own")
    }

    /// Redis, in a stack that has its own.
    pub fn own_redis(&self) -> Result<&Redis> {
        self.servers.redis.as_ref().context("this stack has no Redis of its own")
    }

    /// Runs kubectl in the stack's namespace; returns what it prints, or fails with what it complains about.
    pub async fn kubectl(&self, args: &[&str]) -> Result<String> {
        let namespace = format!("--namespace={}", self.namespace);
        let args: Vec<&str> = std::iter::once(namespace.as_str()).chain(args.iter().copied()).collect();
        self.servers.kubernetes.kubectl(&args).await
    }

    /// All processes of Assay itself.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.gateways.iter().chain(&self.operators).chain(&self.scorers)
    }

    /// Asks all processes of Assay itself to stop, at the same time, and waits for a graceful end.
    pub async fn terminate_services(&self, limit: Duration) -> Result<()> {
        futures::future::try_join_all(self.services().map(|service| service.terminate(limit))).await.map(drop)
    }

    /// The last lines of the logs of all processes of Assay itself.
    pub fn log_tails(&self) -> String {
        self.services().map(|service| log_tail(service.log())).collect()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // The folder with the logs goes now; what a failed test needs of them is said first.
        if std::thread::panicking() && self.folder.is_some() {
            eprintln!("{}", self.log_tails());
        }
    }
}

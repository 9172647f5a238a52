//! What the operator is told at start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use domain::{LeaseSettings, Pool, duration};
use runtime::Telemetry;
use store::DatabaseFlags;

use crate::external_metrics::ExternalMetricsFlags;
use crate::retention::RetentionFlags;

/// Flags and environment of the operator.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// Where Postgres is.
    #[command(flatten)]
    pub database: DatabaseFlags,
    /// Where Redis is: `redis://host:6379/`, `redis+cluster://host:6379,host:6379/` with some nodes of a cluster, or
    /// `redis+sentinel://host:26379,host:26379/PRIMARY` with sentinels and their name for the primary. `rediss` is
    /// `redis` over TLS; `?ca_file=` names a file of authorities to trust instead of those of the system.
    #[arg(long, env = "ASSAY_REDIS_URL", hide_env_values = true)]
    pub redis_url: String,
    /// The namespace of the gateway's resources and of the operator's own Lease.
    #[arg(long, env = "ASSAY_NAMESPACE", default_value = "assay")]
    pub namespace: String,
    /// The only namespace whose resources are taken up; all of them when it is not given.
    #[arg(long, env = "ASSAY_WATCH_NAMESPACE")]
    pub watch_namespace: Option<String>,
    /// How to reach the API server; in a pod, its service account by default.
    #[arg(long, env = "KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,
    /// The pools that exist, separated by commas. A job for any other is rejected.
    #[arg(long, env = "ASSAY_POOLS", value_delimiter = ',', default_value = "default")]
    pub pools: Vec<Pool>,
    /// The scorers' lease: how long one may go unheard before its jobs are given to another.
    #[arg(long = "lease", env = "ASSAY_LEASE", default_value = "30s", value_parser = duration::parse)]
    pub scorer_lease: Duration,
    /// How long a leader may go unheard before a standby takes over its writes to Kubernetes.
    #[arg(long, env = "ASSAY_LEADER_LEASE", default_value = "15s", value_parser = duration::parse)]
    pub leader_lease: Duration,
    /// This replica's name in the Lease and in events.
    #[arg(long, env = "ASSAY_OPERATOR_NAME", default_value_t = default_name())]
    pub name: String,
    /// A job this old that is not known to be queued is queued straight from Postgres: its resource, or the API
    /// server, is late.
    #[arg(long, env = "ASSAY_SWEEP_AFTER", default_value = "1s", value_parser = duration::parse)]
    pub sweep_after: Duration,
    /// How often every active job is looked for on the queue.
    #[arg(long, env = "ASSAY_AUDIT_EVERY", default_value = "60s", value_parser = duration::parse)]
    pub audit_every: Duration,
    /// What has ended is kept.
    #[command(flatten)]
    pub retention: RetentionFlags,
    /// What autoscalers ask for.
    #[command(flatten)]
    pub external_metrics: ExternalMetricsFlags,
    /// The label selector of the scorers' Pods in the operator's namespace, such as `app.kubernetes.io/component=scorer`.
    /// They are annotated with how many jobs they hold, so that idle ones go first when there are to be fewer. Their
    /// scorers must have the Pods' names. Without it, none is annotated.
    #[arg(long, env = "ASSAY_SCORER_PODS")]
    pub scorer_pods: Option<String>,
    /// Where health and metrics are served.
    #[arg(long, env = "ASSAY_METRICS_ADDR", default_value = "0.0.0.0:9090")]
    pub metrics_addr: SocketAddr,
    /// Logs.
    #[command(flatten)]
    pub telemetry: Telemetry,
}

/// The host name is a pod's name in Kubernetes; the process id tells replicas on one machine apart.
fn default_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{}", host.trim(), std::process::id())
}

impl Settings {
    /// Refuses contradictions, and gives the scorers' lease.
    ///
    /// # Errors
    /// When two settings contradict each other; the message names them.
    pub fn validate(&self) -> anyhow::Result<LeaseSettings> {
        ensure!(!self.pools.is_empty(), "--pools names no pool: jobs would have nowhere to go");
        ensure!(
            self.leader_lease >= Duration::from_secs(3),
            "--leader-lease {:?} is shorter than 3s: leadership would change hands without need",
            self.leader_lease
        );
        self.retention.validate()?;
        self.database.check_migration()?;
        LeaseSettings::renewed_by_thirds(self.scorer_lease).context("--lease")
    }
}

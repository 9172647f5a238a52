//! Flags and environment.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{ArgAction, Parser};
use domain::Pool;
use domain::duration;
use runtime::Telemetry;
use store::{DatabaseFlags, PooledMigration};

use crate::QuotaFlags;
use crate::authentication::{AuthenticationContradiction, AuthenticationFlags};
use crate::cross_origin::CrossOriginFlags;
use crate::events::EventFlags;
use crate::idempotency::IdempotencyFlags;
use crate::overload::{OverloadContradiction, OverloadFlags};
use crate::proxies::ProxyFlags;
use crate::rate_limit::RateLimitFlags;
use crate::server::{ServerContradiction, ServerFlags};

/// The gateway of Assay: takes submissions and requests for scores over HTTP.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "gateway",
    version,
    after_help = "`gateway token` makes a token for development instead, and `gateway check` asks whether a gateway answers."
)]
pub struct Settings {
    /// Where to serve the API.
    #[arg(long, env = "ASSAY_LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// Where to serve /metrics, and the probes once more.
    #[arg(long, env = "ASSAY_METRICS_ADDR", default_value = "0.0.0.0:9090")]
    pub metrics_addr: SocketAddr,
    /// The database.
    #[command(flatten)]
    pub database: DatabaseFlags,
    /// The most connections to the database, besides up to 4 over which jobs are accepted.
    #[arg(long, env = "ASSAY_DATABASE_CONNECTIONS", default_value_t = 10)]
    pub database_connections: u32,
    /// Where Redis is: `redis://host:6379/`, `redis+cluster://host:6379,host:6379/` with some nodes of a cluster, or
    /// `redis+sentinel://host:26379,host:26379/PRIMARY` with sentinels and their name for the primary. `rediss` is
    /// `redis` over TLS; `?ca_file=` names a file of authorities to trust instead of those of the system. Jobs are taken
    /// without Redis; what gateways do together, and what they tell of queues, needs it.
    #[arg(long, env = "ASSAY_REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<String>,
    /// The namespace of the custom resources.
    #[arg(long, env = "ASSAY_NAMESPACE", default_value = "assay")]
    pub namespace: String,
    /// The pools that jobs may name, separated by commas. A job that names none goes to `default` if that is listed,
    /// else to the first.
    #[arg(long, env = "ASSAY_POOLS", default_value = "default", value_delimiter = ',')]
    pub pools: Vec<Pool>,
    /// How to reach Kubernetes, as files separated by colons; without it, as a Pod does. The ambient ~/.kube/config is never used.
    #[arg(long, env = "KUBECONFIG")]
    pub kubeconfig: Option<String>,
    /// Whether jobs become a ScoringBatch when more are waiting than Kubernetes takes one by one.
    #[arg(long, env = "ASSAY_MIRROR_BATCH_OVERFLOW", default_value_t = true, action = ArgAction::Set)]
    pub mirror_batch_overflow: bool,
    /// How many ScoringJobs there may be at once before jobs overflow into batches; means nothing without overflow.
    #[arg(long, env = "ASSAY_MIRROR_LIVE_LIMIT", default_value_t = 10_000)]
    pub mirror_live_limit: u64,
    /// The largest body of a request, in bytes.
    #[arg(long, env = "ASSAY_BODY_LIMIT", default_value_t = 1024 * 1024)]
    pub body_limit: usize,
    /// How long a request may take to arrive, once it has begun, before it is answered 408.
    #[arg(long, env = "ASSAY_BODY_TIMEOUT", default_value = "30s", value_parser = duration::parse)]
    pub body_timeout: Duration,
    /// How long a request may wait for the database before it is answered 503.
    #[arg(long, env = "ASSAY_REQUEST_TIMEOUT", default_value = "5s", value_parser = duration::parse)]
    pub request_timeout: Duration,
    /// Connections.
    #[command(flatten)]
    pub server: ServerFlags,
    /// Proxies.
    #[command(flatten)]
    pub proxies: ProxyFlags,
    /// Rate limits.
    #[command(flatten)]
    pub rate_limit: RateLimitFlags,
    /// How much at a time.
    #[command(flatten)]
    pub overload: OverloadFlags,
    /// Other sites' pages.
    #[command(flatten)]
    pub cross_origin: CrossOriginFlags,
    /// How long to go on accepting connections after the signal to stop, for load balancers to notice. Each answer given
    /// meanwhile ends its connection, so that clients turn to another gateway.
    #[arg(long, env = "ASSAY_DRAIN_DELAY", default_value = "5s", value_parser = duration::parse)]
    pub drain_delay: Duration,
    /// How long requests under way, and then the relay, may take to finish after that.
    #[arg(long, env = "ASSAY_DRAIN_GRACE", default_value = "20s", value_parser = duration::parse)]
    pub drain_grace: Duration,
    /// Who may ask.
    #[command(flatten)]
    pub authentication: AuthenticationFlags,
    /// How many active jobs a tenant may have.
    #[command(flatten)]
    pub quota: QuotaFlags,
    /// Who may wait for what.
    #[command(flatten)]
    pub events: EventFlags,
    /// Requests with an `Idempotency-Key`.
    #[command(flatten)]
    pub idempotency: IdempotencyFlags,
    /// How to log.
    #[command(flatten)]
    pub telemetry: Telemetry,
}

/// Settings that cannot hold together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// The schema could not be migrated.
    #[error(transparent)]
    PooledMigration(#[from] PooledMigration),
    /// Callers could not be told apart.
    #[error(transparent)]
    Authentication(#[from] AuthenticationContradiction),
    /// Relaying takes two, requests need others beside them.
    #[error("ASSAY_DATABASE_CONNECTIONS is {0}: at least 4 are needed")]
    FewConnections(u32),
    /// Requests under way would be cut off at every stop.
    #[error(
        "ASSAY_DRAIN_GRACE ({grace:?}) is shorter than ASSAY_REQUEST_TIMEOUT ({request:?}): requests under way \
         would be cut off"
    )]
    ShortGrace {
        /// The grace.
        grace: Duration,
        /// The longest that a request may take.
        request: Duration,
    },
    /// Every request would be answered 503.
    #[error("ASSAY_REQUEST_TIMEOUT is {0:?}: at least 100ms are needed")]
    NoTime(Duration),
    /// Not even a request for one job fits.
    #[error("ASSAY_BODY_LIMIT is {0} bytes: at least 1024 are needed")]
    SmallBody(usize),
    /// Only one can listen there.
    #[error("ASSAY_LISTEN and ASSAY_METRICS_ADDR are both {0}")]
    SameAddress(SocketAddr),
    /// Keys would be forgotten while their requests are being served.
    #[error("ASSAY_IDEMPOTENCY_TTL is {0:?}: at least 5m are needed")]
    ShortIdempotency(Duration),
    /// It cannot be a namespace.
    #[error("ASSAY_NAMESPACE {0:?} cannot name a namespace: use 1 to 63 of a-z, 0-9 and '-'")]
    Namespace(String),
    /// It means nothing, and is likely a slip for another name.
    #[error("ASSAY_POOLS names {0} twice")]
    PoolTwice(Pool),
    /// Of the door.
    #[error(transparent)]
    Server(#[from] ServerContradiction),
    /// Of how much is done at a time.
    #[error(transparent)]
    Overload(#[from] OverloadContradiction),
}

impl Settings {
    /// Refuses settings that cannot hold together.
    ///
    /// # Errors
    /// The first contradiction found.
    pub fn check(&self) -> Result<(), Contradiction> {
        self.database.check_migration()?;
        self.authentication.check()?;
        self.server.check()?;
        self.overload.check(self.body_limit)?;
        if self.database_connections < 4 {
            return Err(Contradiction::FewConnections(self.database_connections));
        }
        if self.request_timeout < Duration::from_millis(100) {
            return Err(Contradiction::NoTime(self.request_timeout));
        }
        if self.drain_grace < self.request_timeout {
            return Err(Contradiction::ShortGrace { grace: self.drain_grace, request: self.request_timeout });
        }
        if self.body_limit < 1024 {
            return Err(Contradiction::SmallBody(self.body_limit));
        }
        if self.idempotency.idempotency_ttl < Duration::from_secs(300) {
            return Err(Contradiction::ShortIdempotency(self.idempotency.idempotency_ttl));
        }
        if self.listen == self.metrics_addr && self.listen.port() != 0 {
            return Err(Contradiction::SameAddress(self.listen));
        }
        // A namespace and a pool are both named by an RFC 1123 label.
        if self.namespace.parse::<Pool>().is_err() {
            return Err(Contradiction::Namespace(self.namespace.clone()));
        }
        let twice = self.pools.iter().enumerate().find(|(at, pool)| self.pools[..*at].contains(pool));
        match twice {
            Some((_, pool)) => Err(Contradiction::PoolTwice(pool.clone())),
            None => Ok(()),
        }
    }

    /// How the store is to reach Postgres. A call that failed is repeated once within the time of a request.
    pub(crate) fn store(&self) -> store::Settings {
        let deadline = self.request_timeout / 2;
        store::Settings {
            max_connections: self.database_connections,
            acquire_timeout: deadline.min(Duration::from_secs(1)),
            deadline,
            quota: self.quota.quota(),
            ..self.database.settings("assay-gateway")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(flags: &[&str]) -> Settings {
        let always = ["gateway", "--database-url", "postgres://localhost/assay"];
        Settings::try_parse_from(always.iter().chain(flags)).expect("flags that can be read")
    }

    #[test]
    fn the_defaults_hold_together() {
        assert_eq!(settings(&[]).check(), Ok(()));
    }

    #[test]
    fn contradictions_are_refused() {
        let refused = |flags: &[&str]| settings(flags).check().expect_err("a contradiction");
        assert_eq!(refused(&["--database-pooled", "true"]), Contradiction::PooledMigration(PooledMigration));
        assert_eq!(refused(&["--database-connections", "3"]), Contradiction::FewConnections(3));
        assert!(matches!(refused(&["--drain-grace", "4s"]), Contradiction::ShortGrace { .. }));
        assert!(matches!(refused(&["--request-timeout", "0s"]), Contradiction::NoTime(_)));
        assert_eq!(refused(&["--body-limit", "10"]), Contradiction::SmallBody(10));
        assert!(matches!(refused(&["--idempotency-ttl", "1m"]), Contradiction::ShortIdempotency(_)));
        assert!(matches!(refused(&["--metrics-addr", "0.0.0.0:8080"]), Contradiction::SameAddress(_)));
        assert!(matches!(refused(&["--namespace", "A/B"]), Contradiction::Namespace(_)));
        assert!(matches!(refused(&["--pools", "a,b,a"]), Contradiction::PoolTwice(_)));
    }

    #[test]
    fn pools_are_a_list_of_labels() {
        let pools: Vec<String> =
            settings(&["--pools", "default,gpu"]).pools.into_iter().map(String::from).collect();
        assert_eq!(pools, ["default", "gpu"]);
        let bad = ["gateway", "--database-url", "x", "--pools", "default,"];
        assert!(Settings::try_parse_from(bad).is_err());
    }
}

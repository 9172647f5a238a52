//! What the operator measures. Label values come from closed sets, and pools from the settings.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use domain::Pool;
use jiff::Timestamp;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use queue::Depth;
use runtime::metrics::{Call, Commits, Dependencies, Dependency, Histograms, of_calls, of_phases};

/// A gauge in seconds or the like.
type Level = Gauge<f64, AtomicU64>;

/// The operator's metrics.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    /// 1 while this replica leads.
    pub leading: Gauge,
    /// Jobs put on the queue, by what found them.
    pub queued: Family<QueuedBy, Counter<u64, AtomicU64>>,
    /// How long jobs waited to be queued.
    pub queueing_seconds: Histogram,
    /// Times a pool's queue was rebuilt from Postgres.
    pub rebuilds: Counter<u64, AtomicU64>,
    /// Jobs that the audit found missing on a queue that claimed to be complete.
    pub restored: Counter<u64, AtomicU64>,
    /// Statuses written.
    pub statuses: Counter<u64, AtomicU64>,
    /// Jobs moved into the history.
    pub retired: Counter<u64, AtomicU64>,
    /// Requests made with kubectl that were rejected.
    pub rejected: Counter<u64, AtomicU64>,
    queue_jobs: Family<QueuePart, Gauge>,
    queue_oldest_age_seconds: Family<OfPool, Level>,
    mirror_lag_seconds: Family<Lagging, Level>,
    reconcile_seconds: Histograms<Reconciled>,
    reconcile_lag_seconds: Histograms<OfKind>,
    external_requests: Family<Answered, Counter<u64, AtomicU64>>,
    certificate_expires: Family<CertificateOf, Level>,
    /// Of calls that serve many resources or jobs at once.
    pub commits: Commits,
    /// What it depends on.
    pub dependencies: Dependencies,
}

/// What found a job that was not on the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct QueuedBy {
    by: Finder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Finder {
    Resource,
    Sweep,
    Audit,
}

impl QueuedBy {
    /// The job's resource was seen.
    pub(crate) const RESOURCE: QueuedBy = QueuedBy { by: Finder::Resource };
    /// The sweep of jobs not known to be queued.
    pub(crate) const SWEEP: QueuedBy = QueuedBy { by: Finder::Sweep };
    /// The audit or rebuild of the whole queue.
    pub(crate) const AUDIT: QueuedBy = QueuedBy { by: Finder::Audit };

    /// The word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self.by {
            Finder::Resource => "resource",
            Finder::Sweep => "sweep",
            Finder::Audit => "audit",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPool {
    pool: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueuePart {
    pool: String,
    state: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Lagging {
    what: &'static str,
}

/// The kind of a custom resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OfKind {
    kind: &'static str,
}

impl OfKind {
    /// A ScoringJob.
    pub(crate) const JOB: OfKind = OfKind { kind: "scoringjob" };
    /// A ScoringBatch.
    pub(crate) const BATCH: OfKind = OfKind { kind: "scoringbatch" };
}

impl fmt::Display for OfKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reconciled {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    outcome: &'static str,
}

/// Whose certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct CertificateOf {
    of: &'static str,
}

impl CertificateOf {
    /// The server of external metrics.
    pub(crate) const SERVER: CertificateOf = CertificateOf { of: "server" };
    /// Who signed that.
    pub(crate) const AUTHORITY: CertificateOf = CertificateOf { of: "authority" };
}

/// What can come of a request for external metrics.
const OUTCOMES: [&str; 5] = ["ok", "unauthorized", "forbidden", "invalid", "unavailable"];

/// What resources stand for, asked of Postgres.
pub(crate) const RESOLVE: Call = Call::named("resolve");

/// Jobs put on the queue.
pub(crate) const QUEUE: Call = Call::named("queue");

impl Default for Metrics {
    fn default() -> Self {
        Metrics {
            leading: Gauge::default(),
            queued: Family::default(),
            queueing_seconds: of_phases(),
            rebuilds: Counter::default(),
            restored: Counter::default(),
            statuses: Counter::default(),
            retired: Counter::default(),
            rejected: Counter::default(),
            queue_jobs: Family::default(),
            queue_oldest_age_seconds: Family::default(),
            mirror_lag_seconds: Family::default(),
            reconcile_seconds: Family::new_with_constructor(of_calls),
            reconcile_lag_seconds: Family::new_with_constructor(of_phases),
            external_requests: Family::default(),
            certificate_expires: Family::default(),
            commits: Commits::default(),
            dependencies: Dependencies::default(),
        }
    }
}

impl Metrics {
    /// The metrics, and the registry that shows them.
    pub(crate) fn registered() -> (Metrics, Registry) {
        let metrics = Metrics::default();
        // All of them from the start, so that a rate is known from the first on.
        for by in [QueuedBy::RESOURCE, QueuedBy::SWEEP, QueuedBy::AUDIT] {
            metrics.queued.get_or_create(&by).inc_by(0);
        }
        for kind in [OfKind::JOB, OfKind::BATCH] {
            drop(metrics.reconcile_lag_seconds.get_or_create(&kind));
            for outcome in ["ok", "error"] {
                drop(metrics.reconcile_seconds.get_or_create(&Reconciled { kind: kind.kind, outcome }));
            }
        }
        for outcome in OUTCOMES {
            metrics.external_requests.get_or_create(&Answered { outcome }).inc_by(0);
        }
        for of in [CertificateOf::SERVER, CertificateOf::AUTHORITY] {
            metrics.certificate_expires.get_or_create(&of).set(f64::INFINITY);
        }
        for of in [Dependency::POSTGRES, Dependency::REDIS, Dependency::KUBERNETES] {
            drop(metrics.dependencies.away(of));
        }
        let mut registry = runtime::metrics::registry(env!("CARGO_PKG_VERSION"));
        metrics.register(registry.sub_registry_with_prefix("assay_operator"));
        (metrics, registry)
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("leading", "1 while this replica leads", self.leading.clone());
        registry.register("queued", "Jobs put on the queue, by what found them", self.queued.clone());
        registry.register(
            "queueing_seconds",
            "From when a job was accepted, or no longer held back, to when it was on the queue",
            self.queueing_seconds.clone(),
        );
        registry.register("rebuilds", "Queues rebuilt from Postgres", self.rebuilds.clone());
        registry.register("restored", "Jobs that the audit found missing on a queue", self.restored.clone());
        registry.register("statuses", "Statuses written", self.statuses.clone());
        registry.register("retired", "Jobs moved into the history", self.retired.clone());
        registry.register("rejected", "Requests rejected", self.rejected.clone());
        registry.register("queue_jobs", "Jobs on the queue", self.queue_jobs.clone());
        registry.register(
            "queue_oldest_age_seconds",
            "Since the oldest of the ready jobs was accepted",
            self.queue_oldest_age_seconds.clone(),
        );
        registry.register(
            "mirror_lag_seconds",
            "How long the oldest job waits for its resource, or its resource for the status that the row has",
            self.mirror_lag_seconds.clone(),
        );
        registry.register(
            "reconcile_seconds",
            "How long one reconciliation took",
            self.reconcile_seconds.clone(),
        );
        registry.register(
            "reconcile_lag_seconds",
            "From when a change of a resource was seen to when its reconciliation began",
            self.reconcile_lag_seconds.clone(),
        );
        registry.register(
            "external_metrics_requests",
            "Requests for external metrics, by what came of them",
            self.external_requests.clone(),
        );
        registry.register(
            "external_metrics_certificate_expires_timestamp_seconds",
            "When a certificate of the external metrics expires, in seconds since 1970; +Inf while none is served",
            self.certificate_expires.clone(),
        );
        self.commits.register(registry, "Resources or jobs");
        self.dependencies.register(registry);
    }

    /// Shows how a pool's queue stands, at this time in milliseconds since 1970.
    pub(crate) fn queue(&self, pool: &Pool, depth: Depth, now_ms: u64) {
        for (state, jobs) in [("ready", depth.ready), ("delayed", depth.delayed), ("leased", depth.leased)] {
            let part = QueuePart { pool: pool.to_string(), state };
            self.queue_jobs.get_or_create(&part).set(i64::try_from(jobs).unwrap_or(i64::MAX));
        }
        let age = depth.oldest_ready_created_at_ms.map_or(0, |created| now_ms.saturating_sub(created));
        let of_pool = OfPool { pool: pool.to_string() };
        self.queue_oldest_age_seconds.get_or_create(&of_pool).set(Duration::from_millis(age).as_secs_f64());
    }

    /// How a pool's queue stands is not known: an old figure would be a lie.
    pub(crate) fn forget_queue(&self, pool: &Pool) {
        for state in ["ready", "delayed", "leased"] {
            self.queue_jobs.remove(&QueuePart { pool: pool.to_string(), state });
        }
        self.queue_oldest_age_seconds.remove(&OfPool { pool: pool.to_string() });
    }

    /// Shows how far resources lag behind the record.
    pub(crate) fn lag(&self, lag: store::Lag) {
        for (what, lag) in [("resource", lag.resource), ("status", lag.status)] {
            self.mirror_lag_seconds.get_or_create(&Lagging { what }).set(lag.as_secs_f64());
        }
    }

    /// How far resources lag behind is not known.
    pub(crate) fn forget_lag(&self) {
        self.mirror_lag_seconds.clear();
    }

    /// A request for external metrics was answered with this status.
    pub(crate) fn external_request(&self, status: u16) {
        let outcome = match status {
            200..300 => "ok",
            401 => "unauthorized",
            403 => "forbidden",
            400..500 => "invalid",
            _ => "unavailable",
        };
        self.external_requests.get_or_create(&Answered { outcome }).inc();
    }

    /// A certificate of the external metrics is served, and expires then.
    pub(crate) fn certificate_expires(&self, of: CertificateOf, at: Timestamp) {
        self.certificate_expires.get_or_create(&of).set(at.as_duration().as_secs_f64());
    }

    /// One resource was reconciled, or could not be.
    pub(crate) fn reconciled(&self, kind: OfKind, took: Duration, ok: bool) {
        let outcome = if ok { "ok" } else { "error" };
        let reconciled = Reconciled { kind: kind.kind, outcome };
        self.reconcile_seconds.get_or_create(&reconciled).observe(took.as_secs_f64());
    }

    /// A reconciliation began so long after the change that it is for.
    pub(crate) fn reconcile_lag(&self, kind: OfKind, lag: Duration) {
        self.reconcile_lag_seconds.get_or_create(&kind).observe(lag.as_secs_f64());
    }
}

//! What the operator counts.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The operator's metrics.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    /// 1 while this replica leads.
    pub leading: Gauge,
    /// Jobs put on the queue, by what found them.
    pub queued: Family<QueuedBy, Counter<u64, AtomicU64>>,
    /// Times a pool's queue was rebuilt from Postgres.
    pub rebuilds: Counter<u64, AtomicU64>,
    /// Statuses written.
    pub statuses: Counter<u64, AtomicU64>,
    /// Jobs moved into the history.
    pub retired: Counter<u64, AtomicU64>,
    /// Requests made with kubectl that were rejected.
    pub rejected: Counter<u64, AtomicU64>,
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
}

impl Metrics {
    /// The metrics, and the registry that shows them.
    pub(crate) fn registered() -> (Metrics, Registry) {
        let metrics = Metrics::default();
        let mut registry = Registry::with_prefix("assay_operator");
        registry.register("leading", "1 while this replica leads", metrics.leading.clone());
        registry.register("queued", "Jobs put on the queue", metrics.queued.clone());
        registry.register("rebuilds", "Queues rebuilt from Postgres", metrics.rebuilds.clone());
        registry.register("statuses", "Statuses written", metrics.statuses.clone());
        registry.register("retired", "Jobs moved into the history", metrics.retired.clone());
        registry.register("rejected", "Requests rejected", metrics.rejected.clone());
        (metrics, registry)
    }
}

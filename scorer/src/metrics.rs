//! What the scorer counts.

use std::sync::atomic::AtomicU64;

use domain::transition::Verdict;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// The scorer's metrics.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    /// Jobs claimed.
    pub(crate) claims: Counter<u64, AtomicU64>,
    /// Jobs that occupy one of its slots.
    pub(crate) running: Gauge,
    /// Attempts recorded, by how they ended.
    pub(crate) attempts: Family<EndedBy, Counter<u64, AtomicU64>>,
    /// Writes that Postgres refused because the job was no longer this scorer's.
    pub(crate) refused: Counter<u64, AtomicU64>,
    /// Work stopped because the job was cancelled or taken over.
    pub(crate) stopped: Counter<u64, AtomicU64>,
    /// How long scoring took, failed or not.
    pub(crate) scoring_seconds: Histogram,
    /// How many jobs went into one call, by kind of call.
    pub(crate) batches: Family<Call, Histogram>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct EndedBy {
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Outcome {
    Done,
    Retryable,
    Permanent,
    Released,
}

impl From<Verdict> for EndedBy {
    fn from(verdict: Verdict) -> Self {
        let outcome = match verdict {
            Verdict::Done => Outcome::Done,
            Verdict::Retryable => Outcome::Retryable,
            Verdict::Permanent => Outcome::Permanent,
            Verdict::Released => Outcome::Released,
        };
        EndedBy { outcome }
    }
}

/// A call that serves many jobs at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Call {
    call: CallName,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum CallName {
    Start,
    Finish,
    Lease,
}

impl Call {
    /// Attempts begun in Postgres.
    pub(crate) const START: Call = Call { call: CallName::Start };
    /// Attempts ended in Postgres.
    pub(crate) const FINISH: Call = Call { call: CallName::Finish };
    /// Leases ended in Redis.
    pub(crate) const LEASE: Call = Call { call: CallName::Lease };
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics {
            claims: Counter::default(),
            running: Gauge::default(),
            attempts: Family::default(),
            refused: Counter::default(),
            stopped: Counter::default(),
            // 100 µs to 105 s.
            scoring_seconds: Histogram::new(exponential_buckets(0.0001, 4.0, 11)),
            batches: Family::new_with_constructor(|| Histogram::new(exponential_buckets(1.0, 2.0, 10))),
        }
    }
}

impl Metrics {
    /// The metrics, and the registry that shows them.
    pub(crate) fn registered() -> (Metrics, Registry) {
        let metrics = Metrics::default();
        let mut registry = Registry::with_prefix("assay_scorer");
        registry.register("claims", "Jobs claimed", metrics.claims.clone());
        registry.register("running", "Jobs that occupy a slot", metrics.running.clone());
        registry.register("attempts", "Attempts recorded, by how they ended", metrics.attempts.clone());
        registry.register(
            "refused",
            "Writes refused: the job was another's by then",
            metrics.refused.clone(),
        );
        registry.register("stopped", "Work stopped: cancelled or taken over", metrics.stopped.clone());
        registry.register("scoring_seconds", "How long scoring took", metrics.scoring_seconds.clone());
        registry.register("batch_size", "Jobs in one call", metrics.batches.clone());
        (metrics, registry)
    }
}

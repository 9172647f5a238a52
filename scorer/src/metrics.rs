//! What the scorer counts.

use std::fmt;
use std::sync::atomic::AtomicU64;

use domain::AttemptOutcome;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
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
    /// Attempts ended, by how. Whoever records an end counts it: a lost attempt, the scorer that takes over. Only a
    /// cancelled one is recorded elsewhere, and counted by the scorer that ran it.
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

/// How an attempt ended, by the name that the table of attempts has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct EndedBy {
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Outcome(AttemptOutcome);

impl EncodeLabelValue for Outcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        self.0.as_str().encode(encoder)
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
        // All of them from the start, so that a rate is known from the first on.
        for outcome in AttemptOutcome::ALL {
            metrics.attempts.get_or_create(&EndedBy { outcome: Outcome(outcome) }).inc_by(0);
        }
        registry.register(
            "attempts",
            "Attempts ended, as the table of attempts names it: by whoever records it, a cancelled one by whoever ran it",
            metrics.attempts.clone(),
        );
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

    /// One more attempt ended so.
    pub(crate) fn count(&self, outcome: AttemptOutcome) {
        self.attempts.get_or_create(&EndedBy { outcome: Outcome(outcome) }).inc();
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn attempts_are_labelled_as_the_table_names_them_and_shown_before_the_first_ends() {
        let (_, registry) = Metrics::registered();
        let mut shown = String::new();
        encode(&mut shown, &registry).expect("text");
        let lines = shown.lines().filter(|line| line.starts_with("assay_scorer_attempts_total{"));
        let mut found: Vec<&str> = lines.collect();
        found.sort_unstable();
        let label =
            |outcome: AttemptOutcome| format!("assay_scorer_attempts_total{{outcome=\"{outcome}\"}} 0");
        let mut expected: Vec<String> = AttemptOutcome::ALL.into_iter().map(label).collect();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }
}

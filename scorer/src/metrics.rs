//! What the scorer measures. Label values come from closed sets.

use std::fmt;
use std::sync::atomic::AtomicU64;

use domain::{AttemptOutcome, JobStatus, Pool};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use runtime::metrics::{Call, Commits, Dependencies, Histograms, of_phases};

use crate::held::Loss;

/// A gauge in seconds.
pub(crate) type Seconds = Gauge<f64, AtomicU64>;

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
    /// Jobs that it may work on at once.
    pub(crate) slots: Gauge,
    /// Claims that Postgres refused to start: older than the job's last attempt.
    pub(crate) stale: Counter<u64, AtomicU64>,
    /// Processes that died of what they scored.
    pub(crate) crashes: Counter<u64, AtomicU64>,
    /// Since the oldest claim that it holds.
    pub(crate) oldest_claim_age_seconds: Seconds,
    /// From when jobs were due to when their attempts began.
    pub(crate) waiting_seconds: Histogram,
    leases_lost: Family<LostTo, Counter<u64, AtomicU64>>,
    attempt_seconds: Histograms<EndedBy>,
    jobs: Family<EndedAs, Counter<u64, AtomicU64>>,
    job_seconds: Histograms<EndedAs>,
    /// Of calls that serve many jobs at once.
    pub(crate) commits: Commits,
    /// What it depends on.
    pub(crate) dependencies: Dependencies,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LostTo {
    reason: &'static str,
}

impl From<Loss> for LostTo {
    fn from(loss: Loss) -> Self {
        LostTo {
            reason: match loss {
                Loss::Cancelled => "cancelled",
                Loss::Over => "over",
            },
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndedAs {
    status: &'static str,
}

impl EndedAs {
    const DONE: EndedAs = EndedAs { status: "done" };
    const ERROR: EndedAs = EndedAs { status: "error" };
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

/// Attempts begun in Postgres.
pub(crate) const START: Call = Call::named("Start");

/// Attempts ended in Postgres.
pub(crate) const FINISH: Call = Call::named("Finish");

/// Leases ended in Redis.
pub(crate) const LEASE: Call = Call::named("Lease");

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
            slots: Gauge::default(),
            stale: Counter::default(),
            crashes: Counter::default(),
            oldest_claim_age_seconds: Seconds::default(),
            waiting_seconds: of_phases(),
            leases_lost: Family::default(),
            attempt_seconds: Family::new_with_constructor(of_phases),
            jobs: Family::default(),
            job_seconds: Family::new_with_constructor(of_phases),
            commits: Commits::default(),
            dependencies: Dependencies::default(),
        }
    }
}

impl Metrics {
    /// The metrics of a scorer of this pool, and the registry that shows them.
    pub(crate) fn registered(pool: &Pool) -> (Metrics, Registry) {
        let metrics = Metrics::default();
        // All of them from the start, so that a rate is known from the first on.
        for outcome in AttemptOutcome::ALL {
            let ended = EndedBy { outcome: Outcome(outcome) };
            metrics.attempts.get_or_create(&ended).inc_by(0);
            drop(metrics.attempt_seconds.get_or_create(&ended));
        }
        for loss in [Loss::Cancelled, Loss::Over] {
            metrics.leases_lost.get_or_create(&loss.into()).inc_by(0);
        }
        for status in [EndedAs::DONE, EndedAs::ERROR] {
            metrics.jobs.get_or_create(&status).inc_by(0);
            drop(metrics.job_seconds.get_or_create(&status));
        }
        let mut registry = runtime::metrics::registry(env!("CARGO_PKG_VERSION"));
        metrics.register(registry.sub_registry_with_prefix("assay_scorer"), pool);
        (metrics, registry)
    }

    fn register(&self, registry: &mut Registry, pool: &Pool) {
        // Who else knows of pools asks whether one has scorers.
        let of_pool = registry.sub_registry_with_label(("pool".into(), pool.as_str().to_owned().into()));
        of_pool.register("running", "Jobs that occupy a slot", self.running.clone());
        of_pool.register("slots", "Jobs that may be worked on at once", self.slots.clone());
        registry.register("claims", "Jobs claimed", self.claims.clone());
        registry.register(
            "attempts",
            "Attempts ended, as the table of attempts names it: by whoever records it, a cancelled one by whoever ran it",
            self.attempts.clone(),
        );
        registry.register("refused", "Writes refused: the job was another's by then", self.refused.clone());
        registry.register("stopped", "Work stopped: cancelled or taken over", self.stopped.clone());
        registry.register(
            "stale",
            "Claims that Postgres refused to start: older than the job's last attempt",
            self.stale.clone(),
        );
        registry.register("crashes", "Processes that died of what they scored", self.crashes.clone());
        registry.register("leases_lost", "Leases lost while work was under way", self.leases_lost.clone());
        registry.register(
            "oldest_claim_age_seconds",
            "Since the oldest claim that is held, as last looked at when leases were renewed",
            self.oldest_claim_age_seconds.clone(),
        );
        registry.register(
            "waiting_seconds",
            "From when a job was accepted, or its delay or backoff was over, to when its attempt began",
            self.waiting_seconds.clone(),
        );
        registry.register("scoring_seconds", "How long scoring took", self.scoring_seconds.clone());
        registry.register(
            "attempt_seconds",
            "From when an attempt began to when its end was recorded",
            self.attempt_seconds.clone(),
        );
        registry.register("jobs", "Jobs ended by this scorer's attempts", self.jobs.clone());
        registry.register(
            "job_seconds",
            "From when a job was accepted to when its end was recorded",
            self.job_seconds.clone(),
        );
        self.commits.register(registry, "Jobs");
        self.dependencies.register(registry);
    }

    /// One more attempt ended so.
    pub(crate) fn count(&self, outcome: AttemptOutcome) {
        self.attempts.get_or_create(&EndedBy { outcome: Outcome(outcome) }).inc();
    }

    /// An attempt that began here took so long.
    pub(crate) fn attempt_took(&self, outcome: AttemptOutcome, seconds: f64) {
        self.attempt_seconds.get_or_create(&EndedBy { outcome: Outcome(outcome) }).observe(seconds);
    }

    /// A job is now in this status; nothing when it has not ended. Its age is known unless nobody knows its attempt.
    pub(crate) fn job_ended(&self, status: JobStatus, age_seconds: Option<f64>) {
        let ended = match status {
            JobStatus::Done => EndedAs::DONE,
            JobStatus::Error => EndedAs::ERROR,
            JobStatus::Queued | JobStatus::Running => return,
        };
        self.jobs.get_or_create(&ended).inc();
        if let Some(seconds) = age_seconds {
            self.job_seconds.get_or_create(&ended).observe(seconds);
        }
    }

    /// A lease was lost for this reason.
    pub(crate) fn lease_lost(&self, loss: Loss) {
        self.leases_lost.get_or_create(&loss.into()).inc();
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn attempts_are_labelled_as_the_table_names_them_and_shown_before_the_first_ends() {
        let (_, registry) = Metrics::registered(&Pool::default());
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

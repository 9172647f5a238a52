//! What every service measures alike.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::CommitMetrics;
use crate::process::Process;
use crate::trace::SpanCounters;

/// A histogram by label.
pub type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// Something that a service depends on, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Dependency {
    of: &'static str,
}

impl Dependency {
    /// Postgres.
    pub const POSTGRES: Dependency = Dependency::named("postgres");
    /// Redis.
    pub const REDIS: Dependency = Dependency::named("redis");
    /// The API server.
    pub const KUBERNETES: Dependency = Dependency::named("kubernetes");

    /// Something else.
    pub const fn named(of: &'static str) -> Dependency {
        Dependency { of }
    }
}

/// Whether the things that a service depends on are away: a gauge each, for an [`Outage`](crate::Outage) to show.
#[derive(Clone, Debug, Default)]
pub struct Dependencies {
    away: Family<Dependency, Gauge>,
}

impl Dependencies {
    /// Shows them as `away`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("away", "Whether something that the service depends on is away", self.away.clone());
    }

    /// The gauge of one, which is shown from then on.
    pub fn away(&self, of: Dependency) -> Gauge {
        self.away.get_or_create_owned(&of)
    }
}

/// A call that serves many at once, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Call {
    call: &'static str,
}

impl Call {
    /// By this name.
    pub const fn named(call: &'static str) -> Call {
        Call { call }
    }
}

/// What is measured of the group commits of a service, by call.
#[derive(Clone, Debug)]
pub struct Commits {
    sizes: Histograms<Call>,
    waits: Histograms<Call>,
}

impl Default for Commits {
    fn default() -> Self {
        Commits {
            sizes: Family::new_with_constructor(of_sizes),
            waits: Family::new_with_constructor(of_calls),
        }
    }
}

impl Commits {
    /// Shows them as `batch_size` and `batch_wait_seconds`. What is in a call is named for people.
    pub fn register(&self, registry: &mut Registry, items: &str) {
        registry.register("batch_size", format!("{items} in one call"), self.sizes.clone());
        let help = format!("How long {} waited for their call to begin", items.to_lowercase());
        registry.register("batch_wait_seconds", help, self.waits.clone());
    }

    /// What is measured of one call.
    pub fn of(&self, call: Call) -> CommitMetrics {
        CommitMetrics {
            sizes: self.sizes.get_or_create_owned(&call),
            waits: self.waits.get_or_create_owned(&call),
        }
    }
}

/// A registry that shows which version this is and what the process takes, under names that all services share.
pub fn registry(version: &'static str) -> Registry {
    let mut registry = Registry::default();
    registry.register("assay_build", "The version that runs", Info::new([("version", version)]));
    SpanCounters::register(&mut registry);
    registry.register_collector(Box::new(Process));
    registry
}

/// For what takes between a hundred microseconds and ten seconds: a call, a request.
pub fn of_calls() -> Histogram {
    Histogram::new([
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    ])
}

/// For what takes between milliseconds and hours: a part of a job's life.
pub fn of_phases() -> Histogram {
    Histogram::new([
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0,
        14400.0,
    ])
}

/// For the number of items in one call.
pub fn of_sizes() -> Histogram {
    Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0])
}

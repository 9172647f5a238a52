//! What every service measures alike.

use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::process::Process;
use crate::trace::SpanCounters;

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

//! The keys of a pool's queue.

use domain::Pool;

/// In the order in which the scripts' prelude names them. Every script declares all of them, which Redis Cluster
/// demands of those it uses.
const NAMES: [&str; 12] = [
    "ready",
    "delayed",
    "leases",
    "ranks",
    "epochs",
    "expired",
    "epoch",
    "served",
    "heard",
    "wake",
    "generation",
    "rebuilds",
];

pub(crate) fn all(pool: &Pool) -> [String; 12] {
    NAMES.map(|name| key(pool, name))
}

pub(crate) fn wake(pool: &Pool) -> String {
    key(pool, "wake")
}

/// Those of who scores for the pool: when each is no longer believed to be there, and what each said of itself.
pub(crate) fn scorers(pool: &Pool) -> [String; 2] {
    ["scorers", "scorer_loads"].map(|name| key(pool, name))
}

/// What stands in braces decides the slot, so a pool is in one slot.
fn key(pool: &Pool, name: &str) -> String {
    format!("{{assay:{pool}}}:{name}")
}

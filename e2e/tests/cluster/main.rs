//! Assay on a real cluster, installed by its chart: real Pods, with a kubelet that probes, limits and ends them. `make e2e`
//! makes the cluster, installs, and runs these tests; `make test` does not.

mod faults;
mod lifecycle;
mod load;
mod record;
mod release;
mod restore;
mod rights;
mod rollout;
mod scaling;
mod walk;

/// There is one installation, which some tests change and others measure: one test at a time.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

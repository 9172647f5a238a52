//! Assay on a real cluster, installed by its chart: real Pods, with a kubelet that probes, limits and ends them. `make e2e`
//! makes the cluster, installs, and runs these tests; `make test` does not.

mod walk;

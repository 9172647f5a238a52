//! The chart `charts/assay` by itself: what helm and a real API server say to it. On real Pods it is tried by the
//! target `cluster`.

mod alerts;
mod autoscaling;
mod dry_run;
mod files;
mod installing;
mod pods;
mod refusals;
mod releases;
mod settings;

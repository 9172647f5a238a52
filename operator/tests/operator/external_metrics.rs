//! External metrics behind a real API server that aggregates them, with a real autoscaler.

mod autoscaler;
mod callers;
mod certificates;
pub(crate) mod scene;
mod values;

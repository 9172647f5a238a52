//! ScoringBatches: accepting what they ask for, showing their counts, and letting go of them.

mod reconcile;
mod status;
mod upkeep;
mod watch;

pub use watch::lead;

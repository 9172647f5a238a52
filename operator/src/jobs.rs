//! ScoringJobs: accepting what they ask for, showing what became of it, and letting go of them.

mod deleted;
mod expire;
mod reconcile;
mod rejection;
mod status;
mod statuses;
mod watch;

pub(crate) use reconcile::bring_queue_in_line;
pub(crate) use rejection::Rejection;
pub use watch::lead;
pub(crate) use watch::watch_config;

//! What every service of Assay needs and nothing about scoring: logs, health and metrics over HTTP, an orderly stop,
//! and the group commit that stands at each hop of a job.

pub mod breaker;
pub mod group_commit;
pub mod health;
pub mod metrics;
pub mod outage;
mod process;
pub mod shutdown;
pub mod telemetry;
pub mod tls;
pub mod trace;

pub use breaker::Breaker;
pub use group_commit::{CommitMetrics, GroupCommit, GroupCommitError};
pub use health::{Health, serve_health};
pub use outage::{Outage, in_full};
pub use shutdown::Shutdown;
pub use telemetry::Telemetry;
pub use tls::use_ring;

//! What Assay means by a job: its states and who may change them, leases and epochs, retries, the order of the
//! queue, submissions, rubrics and reports.
//!
//! Nothing here speaks to Postgres, Redis or Kubernetes. The store's SQL implements [`transition`], and its tests
//! compare the two for every state and event; the queue's scripts implement [`queue_rules`], and its tests compare
//! those after every step of random histories.

pub mod attempt;
pub mod claim;
pub mod dead_letter;
pub mod duration;
pub mod epoch;
pub mod fnv1a;
pub mod knobs;
pub mod lane;
pub mod lease;
pub mod pool;
pub mod priority;
pub mod queue_rules;
pub mod rank;
pub mod rate;
pub mod report;
pub mod retry;
pub mod rubric;
pub mod status;
pub mod submission;
pub mod tenant;
pub mod transition;

pub use attempt::{AttemptOutcome, ErrorCode};
pub use claim::Claim;
pub use dead_letter::Cause;
pub use epoch::Epoch;
pub use fnv1a::fnv1a;
pub use knobs::Knobs;
pub use lane::Lane;
pub use lease::LeaseSettings;
pub use pool::Pool;
pub use priority::Priority;
pub use rank::Rank;
pub use rate::Rate;
pub use retry::RetryPolicy;
pub use status::JobStatus;
pub use tenant::Tenant;

/// Identifies one scoring job. The gateway's are UUIDv7; a job made with kubectl has its resource's `metadata.uid`.
pub type JobId = uuid::Uuid;
/// Identifies one submission.
pub type SubmissionId = uuid::Uuid;
/// Identifies one batch of jobs. A batch made with kubectl has its resource's `metadata.uid`.
pub type BatchId = uuid::Uuid;

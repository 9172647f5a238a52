//! All SQL of Assay. Postgres is the truth; everything else is derived from it.
//!
//! Rules that hold throughout:
//!
//! - A statement commits by itself wherever one statement can do the work; batches go through one statement.
//! - Every call has a deadline, and an error says whether it may be repeated. After a lost answer the repetition
//!   finds out what the first call did.
//! - Rows of several jobs are locked in the order of their ids, so that calls do not deadlock.
//! - What is done for a caller is done [within](Store::within) what it may see, which `scope.rs` explains.
//! - Nothing depends on a session, so PgBouncer may stand in between in transaction mode; only [`migrate`] needs
//!   Postgres itself.
//! - Rows are looked up by `id = ANY (ARRAY[x])`, or behind `OFFSET 0`, where `id = x` would let the planner join by
//!   reading a whole index: what it guesses of a table's contents may be long out of date. `plans.rs` looks at every plan.
//! - Times are those of Postgres. Where one crosses into the queue it does so as a duration.

mod accept;
mod actions;
mod batch_counts;
mod batch_mirroring;
mod batches;
mod cancel;
mod columns;
mod connection;
mod cursor;
mod dead_letters;
mod definitions;
mod error;
mod finish;
mod held;
mod history;
mod idempotency;
mod lag;
mod listing;
mod migrations;
mod mirroring;
#[cfg(test)]
mod plans;
mod queueing;
mod quota;
mod read;
mod redrive;
mod relay;
mod replica;
mod resources;
mod retention;
mod retry;
mod rounds;
mod row;
mod row_security;
mod rubrics;
mod scope;
mod settings;
mod start;
mod submission_listing;
mod submissions;
mod text;
mod throughput;
mod walk;
mod watching;

pub use accept::{Accepted, NewJob, Refusal};
pub use actions::ActionRow;
pub use batch_counts::{BatchCounts, Failure};
pub use batch_mirroring::{BatchBinding, ChangedBatch, LiveBatch, ShownBatch};
pub use batches::{BatchAccepted, BatchOrigin, BatchRow, NewBatch, Rejected};
pub use cancel::{CancelRequest, Cancelled, CancelledJob};
pub use connection::Store;
pub use cursor::{Cursor, InvalidCursor};
pub use dead_letters::{
    DeadLetter, DeadLetterDetail, DeadLetterFilter, DeadLetterPage, RedriveRow, Successor,
};
pub use definitions::{Definition, ResourceKind};
pub use error::{BatchResult, InvalidItem, StoreError, Unavailability};
pub use finish::{Ending, FinishRequest, Finished};
pub use held::Tenure;
pub use history::ExportedJob;
pub use idempotency::{IdempotencyKey, KeptAnswer, KeyClaim};
pub use lag::Lag;
pub use listing::{JobFilter, JobPage};
pub use migrations::{MigrationError, PreparationError, SchemaError, migrate};
pub use mirroring::LiveResource;
pub use queueing::ToQueue;
pub use quota::Quota;
pub use read::{AttemptRow, BatchDetail, JobDetail};
pub use redrive::{Redrive, RedriveOrder, Redriven, Skip};
pub use relay::{BATCH_LIMIT, BatchToMirror, MirroredJob, Relay, RelayCounts};
pub use resources::{Applied, MutableKnobs, Resolved, ResourceRequest};
pub use retention::{DroppedSubmissions, Retired, Retirement};
pub use retry::{Retried, RetryRequest};
pub use row::{JobRow, Mirror, ResourceRef};
pub use row_security::RowSecurity;
pub use rubrics::RubricVersion;
pub use scope::Scope;
pub use settings::{DatabaseFlags, PooledMigration, Settings};
pub use start::{StartRequest, Started, Work};
pub use submission_listing::{ListedSubmission, SubmissionFilter, SubmissionPage};
pub use submissions::{SubmissionRefusal, SubmissionRow, SubmissionStatus};
pub use throughput::{ActiveJobs, RecentThroughput, Throughput, ThroughputKind};
pub use watching::Version;

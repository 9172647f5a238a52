//! Waiting for jobs and batches to change, without asking Postgres for each of those who wait.
//!
//! ```text
//! whoever commits a change ─ announces ─▶ Redis ─▶ hub ─ one read for all that changed ─▶ Postgres
//!                                                   │ once a second, while somebody waits: the versions of all
//!                                                   ▼
//!                                      everyone who waits for it is handed the same row
//! ```
//!
//! What is announced may get lost, and Redis may be away: then a change is noticed within a second.

mod hub;
mod listening;
mod looking;
mod settings;
mod streaming;

pub(crate) use hub::{Hub, Watch};
pub(crate) use listening::listen;
pub(crate) use looking::{look_at_batches, look_at_jobs};
pub use settings::EventFlags;
pub(crate) use streaming::{Event, LONGEST, stream};

//! The queue of waiting and leased jobs, in Redis.
//!
//! A queue holds ids, ranks and leases, nothing else: what a job is stays in Postgres, and the whole queue can be
//! rebuilt from there. Each pool of scorers has a queue of its own, whose keys share a hash tag and therefore a
//! slot of Redis Cluster. Everything that changes a queue is one script, so it happens entirely or not at all. What the
//! scripts do is said in the plainest way in [`domain::queue_rules`], with which the tests compare them.
//!
//! A job is in at most one place:
//!
//! ```text
//!             enqueue                     claim
//!  (unknown) ─────────▶ ready ◀──────────────────────────▶ leased ── finish ──▶ (unknown)
//!       │                 ▲      release, lease expired      │ ▲
//!       │ enqueue later   │ due                      release │ │ adopt: Redis had lost
//!       └─────────────▶ delayed ◀────────────────────────────┘ │ the lease, the scorer not
//! ```
//!
//! [`Queue::cancel`] and [`Queue::withdraw`] lead back to unknown.
//!
//! Times are those of the Redis server, and delays are durations, so nobody compares clocks. The lease clock stands
//! still while nobody can reach Redis: an outage of Redis spends no lease.
//!
//! Redis must be 7.0 or newer (or Valkey), must not evict (`maxmemory-policy noeviction`), and may lose its data at
//! any time: see [`Queue::is_current`].

mod address;
mod changes;
mod claims;
mod cluster;
mod deployment;
mod depth;
mod enqueue;
mod error;
mod keys;
mod link;
mod queue;
mod rate_limits;
mod rebuild;
mod scorers;
mod scripts;
mod sentinel;
mod waiter;
mod waiting;

pub use changes::{Announcer, Change, Heard, Listener};
pub use depth::Depth;
pub use domain::queue_rules::{Adopt, Adoption, Claimed, Enqueue, Release, Renewal};
pub use error::QueueError;
pub use queue::{MAX_CLAIMS, Queue};
pub use rate_limits::{RateAnswer, RateLimits};
pub use rebuild::Rebuild;
pub use scorers::{REPORT_EVERY, ScorerLoad};
pub use waiter::Waiter;
pub use waiting::WaitingCursor;

//! What operators watch: how much waits in each pool, and what comes in and goes out.
//!
//! One sampler looks once a second at Redis and Postgres, for all who watch at that moment, and rests while nobody does.

mod sample;
mod sampler;
mod snapshot;
mod window;

pub(crate) use sampler::{Pools, Watching};
pub(crate) use snapshot::{Scope, Snapshot};

//! A model of a job's life, small enough that every order of events can be tried.
//!
//! Scorers, operators and people take their steps as the programs do, one call to Postgres or Redis at a time, and
//! anybody may be arbitrarily slow between two of them. What the calls do is not written here once more: the row follows
//! [`domain::transition`], with which the store's statements are compared, and the queue follows
//! [`domain::queue_rules`], with which its scripts are.
//!
//! [`Life`] is checked with `stateright`: from the first state on, every step of everybody and every fault is taken,
//! until no new state is found. `docs/MODEL.md` says what is left out.

mod bounds;
mod canonical;
mod check;
mod continuation;
mod faults;
mod life;
mod operator;
mod postgres;
mod properties;
mod redis;
mod renewal;
mod rules;
mod scorer;
mod state;
mod worlds;

pub use bounds::{Bounds, FaultKind};
pub use check::{Checked, check, counterexamples};
pub use continuation::Survivors;
pub use faults::Fault;
pub use life::{Action, Life};
pub use rules::Rules;
pub use state::State;
pub use worlds::{ONE_JOB, WORLDS, World};

//! Chaos: a whole Assay under a plan of random faults, while clients ask, cancel and delete; afterwards everything that
//! Postgres, Redis and Kubernetes hold is compared.
//!
//! The same seed gives the same plan of faults and the same requests. When they meet is up to the machine.

pub mod check;
mod clients;
mod faults;
mod history;
mod keeper;
mod ledger;
pub mod plan;
mod report;
mod run;
mod tides;

pub use plan::{Fault, Plan, Planned, Size};
pub use report::Report;
pub use run::run;

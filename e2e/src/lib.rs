//! What the end-to-end tests in `tests/` are made of: a whole Assay as real processes, its API as clients use it, its
//! tables and its resources as people see them, and waiting for events.

pub mod api;
pub mod balancer;
pub mod chaos;
pub mod chart;
pub mod collector;
pub mod gate;
pub mod installation;
pub mod monitoring;
pub mod order;
pub mod resources;
pub mod rows;
pub mod sources;
pub mod tool;
pub mod world;

pub use api::{Answer, Api};
pub use balancer::Balancer;
pub use gate::{Barrier, Gate};
pub use installation::{Installation, Reached};
pub use resources::Resource;
pub use rows::{Attempt, Database, Row};
pub use testkit::{Seen, until};
pub use world::World;

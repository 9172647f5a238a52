//! The queue against a real Redis. One program for all of it, so that it is linked once.

mod changes;
mod cluster;
mod contention;
mod damage;
mod fairness;
mod fixture;
mod full;
mod leases;
mod memory;
mod model;
mod order;
mod outage;
mod rate_limits;
mod rebuild;
mod reconnection;
mod recovery;
mod scorers;
mod sentinel;
mod tls;
mod upgrade;
mod waiting;
mod wake;

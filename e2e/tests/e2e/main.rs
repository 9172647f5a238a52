//! From POST to DONE with real processes: gateway, operator and scorer, Postgres, Redis and a Kubernetes API server.
//!
//! One program, so that it is linked once. Each test has processes, a database and a namespace of its own; see
//! [`e2e::world`]. docs/ARCHITECTURE.md lists what may be lost, and which test shows what happens then.

mod alerts;
mod apiserver;
mod burst;
mod chaos;
mod documents;
mod fairness;
mod kubectl;
mod metrics;
mod network;
mod operators;
mod page;
mod postgres;
mod redis;
mod redis_cluster;
mod rolling;
mod scorers;
mod secrets;
mod stops;
mod traces;
mod waiting;
mod walk;

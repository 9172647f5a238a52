//! The operator against a real API server, Postgres and Redis.

mod batches;
mod jobs;
mod leadership;
mod manifests;
mod queueing;
mod world;

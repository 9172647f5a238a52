//! The operator against a real API server, Postgres and Redis.

mod batches;
mod definitions;
mod jobs;
mod leadership;
mod manifests;
mod queueing;
mod requests;
mod retention;
mod world;

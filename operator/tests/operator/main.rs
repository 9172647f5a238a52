//! The operator against a real API server, Postgres and Redis.

mod batches;
mod connections;
mod definitions;
mod deletion_cost;
mod external_metrics;
mod jobs;
mod leadership;
mod manifests;
mod queueing;
mod redrives;
mod requests;
mod retention;
mod world;

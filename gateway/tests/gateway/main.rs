//! The gateway as its clients, Postgres and Kubernetes see it: real servers, started in this process on free ports.

mod authentication;
mod batches;
mod bodies;
mod dead_letters;
mod door;
mod drain;
mod fixture;
mod jobs;
mod outage;
mod pools;
mod relay;
mod relay_faults;
mod scoring;
mod submissions;

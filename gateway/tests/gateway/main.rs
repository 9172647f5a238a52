//! The gateway as its clients, Postgres and Kubernetes see it: real servers, started in this process on free ports.

mod access;
mod authentication;
mod batches;
mod bodies;
mod conditional;
mod dead_letters;
mod door;
mod drain;
mod events;
mod fixture;
mod heads;
mod http2;
mod idempotency;
mod jobs;
mod openapi;
mod outage;
mod overload;
mod pools;
mod rate_limits;
mod relay;
mod relay_faults;
mod schemathesis;
mod scoring;
mod submissions;
mod tls;
mod waiting;

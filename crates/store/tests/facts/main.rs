//! Facts about the store, each shown on a database of its own in a real Postgres.

mod accepting;
mod attempts;
mod batches;
mod cancelling;
mod constraints;
mod database;
mod dead_letters;
mod definitions;
mod immutability;
mod lag;
mod lost_answers;
mod migrating;
mod mirroring;
mod outage;
mod queueing;
mod quotas;
mod reading;
mod redriving;
mod redriving_at_once;
mod relaying;
mod resources;
mod retention;
mod schema;
mod submissions;
mod tenancy;
mod transitions;

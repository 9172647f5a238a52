//! The scorer against a real Postgres and a real Redis. One program for all of it, so that it is linked once.

mod cancelling;
mod fixture;
mod isolation;
mod presence;
mod process;
mod queue_loss;
mod readiness;
mod stops;
mod suspension;
mod trouble;

//! How many may wait.

use clap::Args;

/// Clients that wait for something to happen.
#[derive(Args, Clone, Debug)]
pub struct EventFlags {
    /// How many requests may wait at once for a job or a batch to change: with `Prefer: wait`, or for a stream of
    /// events. What is beyond that is answered 503.
    #[arg(long, env = "ASSAY_WATCHERS", default_value_t = 5_000)]
    pub watchers: usize,
}

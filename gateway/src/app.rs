//! What the routes share.

use std::sync::Arc;
use std::time::Duration;

use domain::Pool;
use runtime::Shutdown;
use store::Store;
use tokio::sync::Notify;

use crate::accept::Acceptor;
use crate::authentication::Authentication;
use crate::events::Hub;
use crate::metrics::Metrics;
use crate::overload::Overload;
use crate::pools::Pools;
use crate::rate_limit::RateLimits;

/// What the routes share.
pub(crate) struct App {
    /// Who asks; everyone is [anyone](crate::caller::Caller::anyone) without it.
    pub(crate) authentication: Option<Authentication>,
    /// The whole record. What is done for a caller is done with [`App::store`].
    pub(crate) record: Store,
    /// The way into it for single jobs.
    pub(crate) acceptor: Acceptor,
    /// Wakes the relay, for jobs that went past the acceptor.
    pub(crate) recorded: Arc<Notify>,
    /// Who waits for a job or a batch to change.
    pub(crate) hub: Hub,
    /// Those who wait are answered when the gateway is to stop.
    pub(crate) shutdown: Shutdown,
    /// The pools that jobs may name.
    pub(crate) pools: Vec<Pool>,
    /// What goes on in them.
    pub(crate) watched: Pools,
    /// The largest body, in bytes.
    pub(crate) body_limit: usize,
    /// How long a body may take to arrive.
    pub(crate) body_timeout: Duration,
    /// How much is taken on at a time.
    pub(crate) overload: Overload,
    /// How much may be asked.
    pub(crate) rate_limits: RateLimits,
    /// What is counted.
    pub(crate) metrics: Metrics,
}

pub(crate) type SharedApp = Arc<App>;

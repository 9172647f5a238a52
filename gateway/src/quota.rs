//! How many active jobs a tenant may have, and keeping their number at hand.

use std::time::Duration;

use clap::Args;
use runtime::{Shutdown, in_full};
use store::{Quota, Store};
use tokio::time::Instant;
use tracing::debug;

use crate::schema::Prepared;

/// How many active jobs a tenant may have.
#[derive(Args, Clone, Copy, Debug)]
pub struct QuotaFlags {
    /// How many jobs a tenant may have at once that wait or run; 0: as many as it likes. The table `tenant_quotas` may say
    /// otherwise for single tenants. Jobs made with kubectl count, and are never refused.
    #[arg(long, env = "ASSAY_TENANT_ACTIVE_JOBS", default_value_t = 100_000)]
    pub tenant_active_jobs: u32,
}

impl QuotaFlags {
    pub(crate) fn quota(self) -> Quota {
        Quota::Enforced(self.tenant_active_jobs)
    }
}

/// How often what commits have noted is put together.
const SETTLE_EVERY: Duration = Duration::from_secs(1);

/// How often active jobs are counted.
const COUNT_EVERY: Duration = Duration::from_secs(60);

/// How soon it is tried again, if that failed.
const COUNT_AGAIN: Duration = Duration::from_secs(10);

/// Keeps the numbers of active jobs short to read and true, until the stop is requested.
pub(crate) async fn keep(store: Store, mut prepared: Prepared, shutdown: Shutdown) {
    if shutdown
        .unless_requested(prepared.wait_for(|prepared| *prepared))
        .await
        .is_none_or(|ready| ready.is_err())
    {
        return;
    }
    let mut count_at = Instant::now();
    loop {
        let due = Instant::now() >= count_at;
        if due {
            count_at = Instant::now() + COUNT_EVERY;
        }
        let kept = if due { store.count_active_jobs().await } else { store.settle_active_jobs().await };
        if let Err(error) = kept {
            // Where there are too many to be counted in time, the numbers are put together all the same.
            count_at = count_at.min(Instant::now() + COUNT_AGAIN);
            debug!(error = in_full(&error), due, "active jobs could not be counted");
        }
        if shutdown.unless_requested(tokio::time::sleep(SETTLE_EVERY)).await.is_none() {
            return;
        }
    }
}

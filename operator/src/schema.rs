//! Waits for the tables.

use std::time::Duration;

use runtime::{Outage, Shutdown, in_full};
use store::Store;
use tracing::info;

const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Brings the database up to date, trying until Postgres is there. `None` when the stop was asked for meanwhile.
pub(crate) async fn await_current(migration_url: &str, store: &Store, shutdown: &Shutdown) -> Option<()> {
    let outage = Outage::of("the database");
    while let Err(error) = shutdown.unless_requested(store.prepare(migration_url)).await? {
        outage.begin(&in_full(&error));
        shutdown.unless_requested(tokio::time::sleep(RETRY_AFTER)).await?;
    }
    outage.end();
    info!("the schema is current");
    Some(())
}

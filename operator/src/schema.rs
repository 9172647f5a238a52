//! Waits for the tables.

use std::time::Duration;

use runtime::{Outage, Shutdown};
use store::Store;
use tracing::{info, warn};

const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Brings the schema up to date, trying until Postgres is there. `None` when the stop was asked for meanwhile.
pub(crate) async fn await_current(url: &str, store: &Store, shutdown: &Shutdown) -> Option<()> {
    let mut outage = Outage::default();
    loop {
        let migrated = shutdown.unless_requested(store::migrate(url)).await?;
        match migrated {
            Ok(()) => {
                info!("the schema is current");
                return Some(());
            }
            Err(error) => {
                if outage.begins() {
                    let error = &error as &dyn std::error::Error;
                    warn!(error, "cannot bring the schema up to date; will go on trying");
                }
            }
        }
        // Another process may have done it meanwhile.
        if matches!(store.schema_is_current().await, Ok(true)) {
            return Some(());
        }
        shutdown.unless_requested(tokio::time::sleep(RETRY_AFTER)).await?;
    }
}

/// Whether Postgres answers and has the tables, for readiness.
pub(crate) async fn check(store: &Store) -> Result<(), String> {
    match store.schema_is_current().await {
        Ok(true) => Ok(()),
        Ok(false) => Err("the schema is not current".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

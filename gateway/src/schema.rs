//! Bringing the database up to date, in the background, for as long as it takes.

use std::sync::Arc;
use std::time::Duration;

use runtime::{Outage, Shutdown, in_full};
use store::Store;
use tokio::sync::watch;
use tracing::info;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Whether the database is prepared: migrated, and in the know of the built-in rubrics.
pub(crate) type Prepared = watch::Receiver<bool>;

/// Prepares the database, trying until it succeeds.
pub(crate) async fn prepare(
    store: Store,
    migration_url: String,
    postgres: Arc<Outage>,
    prepared: watch::Sender<bool>,
    shutdown: Shutdown,
) {
    let mut pause = FIRST_PAUSE;
    while let Err(error) = store.prepare(&migration_url).await {
        postgres.begin(&in_full(&error));
        if shutdown.unless_requested(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    postgres.end();
    info!("the database is prepared");
    prepared.send_replace(true);
}

/// Whether requests can be served now: for `/readyz`.
pub(crate) async fn is_ready(store: Store, prepared: Prepared) -> Result<(), String> {
    store.check_schema().await.map_err(|error| in_full(&error))?;
    if *prepared.borrow() { Ok(()) } else { Err("the database is being prepared".to_owned()) }
}

//! Bringing the database up to date, in the background, for as long as it takes.

use std::sync::Arc;
use std::time::Duration;

use runtime::{Outage, Shutdown, in_full};
use store::{PreparationError, RowSecurity, Store};
use tokio::sync::watch;
use tracing::{info, warn};

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
    let row_security = loop {
        let error = match prepare_once(&store, &migration_url).await {
            Ok(row_security) => break row_security,
            Err(error) => error,
        };
        postgres.begin(&in_full(&error));
        if shutdown.unless_requested(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    };
    postgres.end();
    match row_security {
        RowSecurity::On => info!("the database is prepared; row-level security keeps tenants apart"),
        RowSecurity::Off { missing } => warn!(
            missing,
            "the database is prepared, but row-level security does not back what keeps tenants apart, because the \
             gateway lacks a right. Let a superuser of Postgres run the statement shown, and start the gateway again"
        ),
    }
    prepared.send_replace(true);
}

async fn prepare_once(store: &Store, migration_url: &str) -> Result<RowSecurity, PreparationError> {
    store.prepare(migration_url).await?;
    Ok(store.prepare_row_security(migration_url).await?)
}

/// Whether requests can be served now: for `/readyz`.
pub(crate) async fn is_ready(store: Store, prepared: Prepared) -> Result<(), String> {
    store.check_schema().await.map_err(|error| in_full(&error))?;
    if *prepared.borrow() { Ok(()) } else { Err("the database is being prepared".to_owned()) }
}

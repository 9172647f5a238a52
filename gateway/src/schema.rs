//! Bringing the database up to date, in the background, for as long as it takes.

use std::sync::Arc;
use std::time::Duration;

use domain::rubric::Rubric;
use runtime::Shutdown;
use store::{RubricVersion, Store};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::accept::in_full;
use crate::outage::Outage;

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
    while let Err(reason) = try_to_prepare(&store, &migration_url).await {
        postgres.begin(&reason);
        if shutdown.unless_requested(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    postgres.end();
    info!("the database is prepared");
    prepared.send_replace(true);
}

async fn try_to_prepare(store: &Store, migration_url: &str) -> Result<(), String> {
    // Has a deadline, which a migration cannot have.
    store.ping().await.map_err(|error| in_full(&error))?;
    if let Err(error) = store::migrate(migration_url).await {
        let is_current = store.schema_is_current().await.map_err(|error| in_full(&error))?;
        if !is_current {
            return Err(in_full(&error));
        }
        warn!(error = in_full(&error), "the schema is newer than this program, which works with it as it is");
    }
    store.ensure_rubrics(&builtin_rubrics()).await.map_err(|error| in_full(&error))
}

fn builtin_rubrics() -> Vec<RubricVersion> {
    Rubric::builtins()
        .iter()
        .map(|(name, rubric)| RubricVersion {
            name: (*name).to_owned(),
            version: rubric.version().to_owned(),
            spec: rubric.to_json().to_string(),
        })
        .collect()
}

/// Whether requests can be served now: for `/readyz`.
pub(crate) async fn is_ready(store: Store, prepared: Prepared) -> Result<(), String> {
    match store.schema_is_current().await {
        Ok(true) if *prepared.borrow() => Ok(()),
        Ok(_) => Err("the database is being prepared".to_owned()),
        Err(error) => Err(in_full(&error)),
    }
}

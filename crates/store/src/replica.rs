//! Lists may be read from a replica, which is a moment behind, so that whoever browses costs the primary nothing.
//!
//! What a client has just done it looks up by its id, and that is read from the primary. A replica that does not answer costs
//! no list: the primary is asked instead, and the replica again after a pause.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::QueryAs;
use sqlx::{FromRow, PgPool, Postgres};
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use crate::{Store, StoreError, Unavailability};

/// How long a list is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long nobody asks a replica that did not answer.
const PAUSE: Duration = Duration::from_secs(10);

/// The state of a replica that answers.
const WELL: u64 = 0;

/// A replica.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    pub(crate) pool: PgPool,
    began: Instant,
    /// [`WELL`], or when it may be asked again, in milliseconds since it began.
    ask_at: Arc<AtomicU64>,
}

impl Replica {
    pub(crate) fn new(pool: PgPool) -> Replica {
        Replica { pool, began: Instant::now(), ask_at: Arc::new(AtomicU64::new(WELL)) }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn may_be_asked(&self) -> bool {
        let at = self.ask_at.load(Ordering::Relaxed);
        at == WELL || at <= self.now()
    }

    fn note(&self, error: Option<&StoreError>) {
        let pause = u64::try_from(PAUSE.as_millis()).unwrap_or(u64::MAX);
        let was =
            self.ask_at.swap(if error.is_some() { self.now() + pause } else { WELL }, Ordering::Relaxed);
        match error {
            Some(error) if was == WELL => {
                warn!(%error, "lists are read from the primary: the replica is away")
            }
            None if was != WELL => info!("lists are read from the replica again"),
            _ => {}
        }
    }
}

impl Store {
    /// Runs a statement that only reads, and may be a moment behind, and reads all its rows.
    pub(crate) async fn listed<'q, O>(
        &self,
        query: impl Fn() -> QueryAs<'q, Postgres, O, PgArguments>,
    ) -> Result<Vec<O>, StoreError>
    where
        O: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        if let Some(replica) = self.replica.as_ref().filter(|replica| replica.may_be_asked()) {
            let there = self.over(&replica.pool);
            let late = || Err(StoreError::Unavailable(Unavailability::Deadline(PATIENCE)));
            let answer = timeout(PATIENCE, there.all(query())).await.unwrap_or_else(|_elapsed| late());
            match answer {
                Err(error) if error.is_unavailable() => replica.note(Some(&error)),
                answer => {
                    replica.note(None);
                    return answer;
                }
            }
        }
        self.all(query()).await
    }
}

//! Lists may be read from a replica, which is a moment behind, so that whoever browses costs the primary nothing.
//!
//! What a client has just done it looks up by its id, and that is read from the primary. A replica that does not answer, or is
//! damaged, costs no list: the primary is asked instead, and the replica again after a pause.

use std::sync::Arc;
use std::time::Duration;

use runtime::{Breaker, Outage, in_full};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::QueryAs;
use sqlx::{FromRow, PgPool, Postgres};
use tokio::time::timeout;

use crate::{Store, StoreError, Unavailability};

/// How long a list is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long nobody asks a replica that did not answer. Then one does, and the others once that was answered.
const PAUSE: Duration = Duration::from_secs(10);

/// A replica.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    pub(crate) pool: PgPool,
    breaker: Arc<Breaker>,
    outage: Arc<Outage>,
}

impl Replica {
    pub(crate) fn new(pool: PgPool) -> Replica {
        let outage = Outage::of("reading lists from the replica and not from the primary");
        Replica { pool, breaker: Arc::new(Breaker::new(PAUSE)), outage: Arc::new(outage) }
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
        if let Some(replica) = self.replica.as_ref().filter(|replica| replica.breaker.may_be_asked()) {
            let there = self.over(&replica.pool);
            let late = || Err(StoreError::Unavailable(Unavailability::Deadline(PATIENCE)));
            let answer = timeout(PATIENCE, there.all(query())).await.unwrap_or_else(|_elapsed| late());
            match answer {
                // Whatever is wrong with a replica need not be wrong with the primary.
                Err(error) if !matches!(error, StoreError::Invalid { .. }) => {
                    replica.breaker.failed();
                    replica.outage.begin(&in_full(&error));
                }
                answer => {
                    replica.breaker.answered();
                    replica.outage.end();
                    return answer;
                }
            }
        }
        self.all(query()).await
    }
}

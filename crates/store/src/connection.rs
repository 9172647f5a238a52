//! The pool, and the rules under which every statement runs: a deadline, and no connection reused whose statement
//! was abandoned half-way.

use std::io;
use std::ops::{Deref, DerefMut};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::query::{Query, QueryAs};
use sqlx::{AssertSqlSafe, Connection, FromRow, PgConnection, PgPool, Postgres};
use tokio::time::timeout;

use crate::replica::Replica;
use crate::scope::{self, Scope};
use crate::{Quota, Settings, StoreError, Unavailability};

/// Everything Assay keeps in Postgres, or the part of it that a [scope](Scope) shows. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
    /// Connections that keep their plans, for what comes hundreds of times a second.
    keeping_plans: PgPool,
    /// Where lists are read.
    pub(crate) replica: Option<Replica>,
    deadline: Duration,
    pub(crate) scope: Scope,
    pub(crate) quota: Quota,
    /// Row-level security is there to back the conditions of statements. So it is taken to be, until it is known that it
    /// is not.
    pub(crate) row_security: Arc<AtomicBool>,
}

/// A connection that has been idle for longer is tested before use: after a restart of Postgres no caller should
/// meet the dead connections left in the pool. Testing each time would cost every call a round trip.
const TEST_AFTER_IDLE: Duration = Duration::from_millis(500);

/// A tested connection that answers later is replaced. When its peer is gone without a word, there is time left for a
/// new one, to wherever the name leads by now.
const TEST_WITHIN: Duration = Duration::from_millis(500);

impl Store {
    /// Prepares a pool without connecting, so that services start while Postgres is away.
    ///
    /// # Errors
    /// When the URL cannot be read.
    pub fn connect(settings: &Settings) -> Result<Store, StoreError> {
        let primary = options(&settings.url, settings)?;
        let replica = settings.replica_url.as_deref().map(|url| options(url, settings)).transpose()?;
        Ok(Store {
            pool: pool(&primary, settings, Plans::Fresh, Server::Primary),
            keeping_plans: pool(&primary, settings, Plans::Kept, Server::Primary),
            replica: replica.map(|options| Replica::new(pool(&options, settings, Plans::Fresh, Server::Any))),
            deadline: settings.deadline,
            scope: Scope::All,
            quota: settings.quota,
            row_security: Arc::new(AtomicBool::new(true)),
        })
    }

    /// The same record as someone sees it who may see no more than this: everything else is as if it did not exist.
    #[must_use]
    pub fn within(&self, scope: Scope) -> Store {
        Store { scope, ..self.clone() }
    }

    /// The same record, reached over connections that keep the plans of statements: for those in which each table is looked
    /// up in the only way there is, however large it is. Making a plan costs as much as carrying out a few dozen look-ups.
    pub(crate) fn keeping_plans(&self) -> Store {
        self.over(&self.keeping_plans)
    }

    /// The same record, reached over these connections.
    pub(crate) fn over(&self, pool: &PgPool) -> Store {
        Store { pool: pool.clone(), ..self.clone() }
    }

    /// Closes every connection. Calls made from now on answer `Unavailable`.
    pub async fn close(&self) {
        self.pool.close().await;
        self.keeping_plans.close().await;
        if let Some(replica) = &self.replica {
            replica.pool.close().await;
        }
    }

    /// Whether Postgres answers.
    ///
    /// # Errors
    /// `Unavailable` when it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.execute(sqlx::query("SELECT 1")).await.map(drop)
    }

    /// Runs work under the deadline of a call.
    pub(crate) async fn within_deadline<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        match timeout(self.deadline, work).await {
            Ok(result) => result,
            Err(_elapsed) => Err(StoreError::Unavailable(Unavailability::Deadline(self.deadline))),
        }
    }

    /// Takes a connection out of the pool.
    pub(crate) async fn lease(&self) -> Result<Leased, StoreError> {
        Ok(Leased { connection: self.pool.acquire().await?, clean: false, confined: false })
    }

    /// Takes a connection out of the pool on which no more is to be seen than these scopes show: in a transaction, which
    /// ends when the connection is given back, unless one of them shows everything.
    pub(crate) async fn lease_within<'s>(
        &self,
        scopes: impl IntoIterator<Item = &'s Scope>,
    ) -> Result<Leased, StoreError> {
        let mut leased = self.lease().await?;
        if self.row_security.load(Ordering::Relaxed)
            && let Some(beginning) = scope::beginning(scopes)
        {
            // Whatever Postgres has against it is not the caller's fault.
            let refused = |error| StoreError::Unavailable(Unavailability::Postgres(Arc::new(error)));
            sqlx::raw_sql(AssertSqlSafe(beginning)).execute(&mut *leased).await.map_err(refused)?;
            leased.confined = true;
        }
        Ok(leased)
    }

    /// Runs a statement and reads all its rows.
    pub(crate) async fn all<O>(
        &self,
        query: QueryAs<'_, Postgres, O, PgArguments>,
    ) -> Result<Vec<O>, StoreError>
    where
        O: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        self.within_deadline(async {
            let mut connection = self.lease_within([&self.scope]).await?;
            let rows = query.fetch_all(&mut *connection).await;
            connection.give_back_after(rows).await
        })
        .await
    }

    /// Runs a statement and reads its row, if there is one.
    pub(crate) async fn optional<O>(
        &self,
        query: QueryAs<'_, Postgres, O, PgArguments>,
    ) -> Result<Option<O>, StoreError>
    where
        O: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        Ok(self.all(query).await?.pop())
    }

    /// Runs a statement and counts the rows it changed.
    pub(crate) async fn execute(&self, query: Query<'_, Postgres, PgArguments>) -> Result<u64, StoreError> {
        self.within_deadline(async {
            let mut connection = self.lease_within([&self.scope]).await?;
            let result = query.execute(&mut *connection).await;
            Ok(connection.give_back_after(result).await?.rows_affected())
        })
        .await
    }
}

/// What becomes of the plan of a prepared statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plans {
    /// It is made anew each time. One that is kept was made for the tables as they were, and stays until their statistics
    /// change, however they have grown meanwhile. Made anew, in a quarter of a millisecond for the largest statement, it
    /// goes by the size they have now, whenever they were analysed last.
    Fresh,
    /// It is kept.
    Kept,
}

/// To which server connections may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    /// One that takes writes. After a switchover a name may lead to the old primary for a while, and connections made then
    /// would be kept long after that: whoever has one could neither write nor read what is true, and be ready by its own account.
    Primary,
    /// A standby too.
    Any,
}

/// The most connections that keep their plans. Who uses them is one group commit of a process, or two.
const MOST_KEEPING_PLANS: u32 = 4;

/// How to connect to what the URL names.
fn options(url: &str, settings: &Settings) -> Result<PgConnectOptions, StoreError> {
    Ok(PgConnectOptions::from_str(url)?
        .application_name(&settings.application_name)
        .statement_cache_capacity(settings.statement_cache)
        // Since Postgres 12 the default is exact, and PgBouncer refuses the parameter.
        .extra_float_digits(None))
}

/// A pool that connects when it is first used.
fn pool(options: &PgConnectOptions, settings: &Settings, plans: Plans, server: Server) -> PgPool {
    let (plan_cache_mode, most) = match plans {
        Plans::Fresh => ("force_custom_plan", settings.max_connections),
        Plans::Kept => ("force_generic_plan", settings.max_connections.min(MOST_KEEPING_PLANS)),
    };
    let mut options = options.clone();
    if !settings.pooled {
        let deadline = settings.deadline.as_millis().to_string();
        options = options.options([
            // What nobody waits for any longer shall not hold locks either.
            ("statement_timeout", deadline.as_str()),
            // Nor shall a transaction whose client is gone without a word, which Postgres would notice after hours.
            ("idle_in_transaction_session_timeout", deadline.as_str()),
            // Statements here only ever look for few rows by an index.
            ("enable_seqscan", "off"),
            ("plan_cache_mode", plan_cache_mode),
            // No statement here runs long enough to be worth compiling.
            ("jit", "off"),
        ]);
    }
    PgPoolOptions::new()
        .max_connections(most)
        .acquire_timeout(settings.acquire_timeout.min(settings.deadline))
        .test_before_acquire(false)
        // A server that becomes a standby later does so by a restart, which ends its connections.
        .after_connect(move |connection, _| {
            Box::pin(async move {
                let standby = server == Server::Primary
                    && sqlx::query_scalar("SELECT pg_is_in_recovery()").fetch_one(connection).await?;
                if standby {
                    Err(sqlx::Error::from(io::Error::other("this Postgres is a standby")))
                } else {
                    Ok(())
                }
            })
        })
        .before_acquire(|connection, state| {
            Box::pin(async move {
                if state.idle_for > TEST_AFTER_IDLE {
                    let silent = |_| sqlx::Error::from(io::Error::from(io::ErrorKind::TimedOut));
                    timeout(TEST_WITHIN, connection.ping()).await.map_err(silent)??;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options)
}

/// A connection on loan. Unless it is given back, dropping it closes it: a caller that stopped waiting may have left
/// a statement under way, and a connection to a stalled server must not return to the pool.
pub(crate) struct Leased {
    connection: sqlx::pool::PoolConnection<Postgres>,
    clean: bool,
    /// It is in the transaction of [`Store::lease_within`].
    confined: bool,
}

impl Leased {
    /// Gives the connection back if the server has answered, be it with a refusal. What was done in a transaction is
    /// done once this returns.
    pub(crate) async fn give_back_after<T>(
        mut self,
        result: Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let answered = matches!(&result, Ok(_) | Err(sqlx::Error::Database(_)));
        if answered && self.confined {
            let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
            sqlx::raw_sql(end).execute(&mut *self.connection).await?;
        }
        self.clean = answered;
        result.map_err(StoreError::from)
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        if !self.clean {
            self.connection.close_on_drop();
        }
    }
}

impl Deref for Leased {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Leased {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

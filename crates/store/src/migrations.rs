//! The schema, and bringing a database up to it.

use std::io;
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, SqlStr};
use tokio::time::{sleep, timeout};

use crate::{Store, StoreError};

macro_rules! files {
    ($($version:literal $description:literal)*) => {
        [$(($version, $description, include_str!(concat!("../migrations/", $version, "_", $description, ".sql")))),*]
    };
}

/// The files of `migrations/`, in their order. `sqlx::migrate!` would find them by itself, at the price of building
/// the whole of sqlx a second time, for the macro.
const FILES: [(&str, &str, &str); 19] = files! {
    "0001" "submissions"
    "0002" "rubrics"
    "0003" "batches"
    "0004" "jobs"
    "0005" "unqueued"
    "0006" "attempts"
    "0007" "audit"
    "0008" "definitions"
    "0009" "redrives"
    "0010" "crashes"
    "0011" "backoff"
    "0012" "backoff_valid"
    "0013" "history"
    "0014" "tenancy"
    "0015" "quotas"
    "0016" "lists"
    "0017" "idempotency"
    "0020" "scored"
    "0021" "unfinished"
};

/// How a file begins that has its own transactions, and may be applied again after some of them.
const WITHOUT_TRANSACTION: &str = "-- no-transaction\n";

static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let migration = |(version, description, sql): (&'static str, &'static str, &'static str)| {
        let version = version.parse().expect("a file's name begins with a number");
        let own_transactions = sql.starts_with(WITHOUT_TRANSACTION);
        let (kind, text) = (MigrationType::Simple, SqlStr::from_static(sql));
        Migration::new(version, description.into(), kind, text, own_transactions)
    };
    let mut migrator = Migrator::with_migrations(FILES.into_iter().map(migration).collect());
    // The next version's: during an upgrade this one is started again and goes on.
    migrator.set_ignore_missing(true);
    migrator
});

/// The schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
#[error("cannot bring the database's schema up to date")]
pub struct MigrationError(#[from] MigrateError);

/// Why the database is not prepared.
#[derive(Debug, thiserror::Error)]
pub enum PreparationError {
    /// Postgres does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its schema could not be brought up to date.
    #[error(transparent)]
    Migration(#[from] MigrationError),
}

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// Postgres does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its tables are not there, or not all of them.
    #[error("the database's schema is not up to date yet")]
    NotCurrent,
}

/// Limit of connecting. What a migration does then has none.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a migration waits for a lock before it lets go of those it has. Everybody who comes later for the same table
/// waits behind it meanwhile. An autovacuum in the way is told to go after a second.
const LOCK_TIMEOUT: &str = "1500ms";

/// How often it tries to get them, and how long it keeps out of the way in between.
const TRIES: u32 = 60;
const PAUSE: Duration = Duration::from_secs(1);

/// Brings the schema up to date. Several may try at once: they take turns. The URL must lead to Postgres itself,
/// since the lock that makes them take turns belongs to the session, which a transaction pooler does not keep.
///
/// Each migration is a transaction, or several that may be applied again, so whoever is killed leaves whole ones only, and the
/// next one goes on from there.
///
/// # Errors
/// When Postgres cannot be reached, its schema was changed by hand, or others held locks for minutes. A newer schema is
/// left as it is.
pub async fn migrate(url: &str) -> Result<(), MigrationError> {
    let mut tries = 1;
    loop {
        match migrate_at_once(url).await {
            Err(error) if tries < TRIES && is_out_of_lock(&error) => tries += 1,
            done => return Ok(done?),
        }
        sleep(PAUSE).await;
    }
}

/// Whether a lock was not to be had: one on a table, or the one by which migrators take turns.
fn is_out_of_lock(error: &MigrateError) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else {
        return false;
    };
    // Lock not available; deadlock.
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("55P03" | "40P01"))
}

async fn migrate_at_once(url: &str) -> Result<(), MigrateError> {
    let mut connection = connect_past_poolers(url).await?;
    MIGRATIONS.run_direct(None, &mut connection, false).await?;
    // The work is done; a connection that does not close politely changes nothing about it.
    connection.close().await.ok();
    Ok(())
}

/// A connection for what concerns the schema.
pub(crate) async fn connect_past_poolers(url: &str) -> Result<PgConnection, sqlx::Error> {
    let options = PgConnectOptions::from_str(url)?.application_name("assay-migrate").options([
        ("lock_timeout", LOCK_TIMEOUT),
        // One that was frozen in the middle does not hold up the others for good.
        ("idle_in_transaction_session_timeout", "60s"),
    ]);
    let silent = |_| sqlx::Error::from(io::Error::new(io::ErrorKind::TimedOut, "no connection in time"));
    timeout(CONNECT_TIMEOUT, options.connect()).await.map_err(silent).flatten()
}

const APPLIED: &str = "
SELECT (SELECT to_regclass('_sqlx_migrations')) IS NOT NULL";

const NEWEST: &str = "
SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success";

impl Store {
    /// Brings the database up to date and stores the built-in rubrics. May be repeated, and done by several at once.
    /// The URL is as for [`migrate`].
    ///
    /// # Errors
    /// When Postgres cannot be reached or used.
    pub async fn prepare(&self, migration_url: &str) -> Result<(), PreparationError> {
        // Has a deadline, which a migration cannot have.
        self.ping().await?;
        migrate(migration_url).await?;
        Ok(self.ensure_builtin_rubrics().await?)
    }

    /// Whether the database can be used: Postgres answers, and every migration this program knows has been applied. A
    /// newer schema counts as current: during an upgrade, the programs of the version before go on.
    ///
    /// # Errors
    /// What is missing.
    pub async fn check_schema(&self) -> Result<(), SchemaError> {
        if self.schema_is_current().await? { Ok(()) } else { Err(SchemaError::NotCurrent) }
    }

    async fn schema_is_current(&self) -> Result<bool, StoreError> {
        let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
        let applied: Vec<(bool,)> = self.all(sqlx::query_as(APPLIED)).await?;
        if applied != [(true,)] {
            return Ok(false);
        }
        let newest: Vec<(i64,)> = self.all(sqlx::query_as(NEWEST)).await?;
        Ok(newest.first().is_some_and(|(newest,)| *newest >= known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_migration_is_known() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let entries = std::fs::read_dir(folder).expect("the folder of migrations");
        let mut found: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name in ASCII"))
            .collect();
        found.sort();
        let known = FILES.map(|(version, description, _)| format!("{version}_{description}.sql"));
        assert_eq!(found, known);
    }
}

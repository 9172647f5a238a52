//! How the store reaches Postgres.

use std::time::Duration;

use clap::{ArgAction, Args};

use crate::Quota;

/// Flags and environment that say where the database is, the same for every program.
#[derive(Args, Clone, Debug)]
pub struct DatabaseFlags {
    /// The database: `postgres://user:password@host:port/database`.
    #[arg(long, env = "ASSAY_DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    /// The same database past any connection pooler, to migrate its schema; by default the URL above.
    #[arg(long, env = "ASSAY_DATABASE_MIGRATION_URL", hide_env_values = true)]
    pub database_migration_url: Option<String>,
    /// A replica of the database, to read lists from, which then are as far behind as it is.
    #[arg(long, env = "ASSAY_DATABASE_REPLICA_URL", hide_env_values = true)]
    pub database_replica_url: Option<String>,
    /// The database is reached through a pooler that gives each transaction another connection. Give its role what a
    /// pooler cannot pass on: `ALTER ROLE ... SET enable_seqscan = off`, and the same for `plan_cache_mode =
    /// force_custom_plan` and `jit = off`.
    #[arg(long, env = "ASSAY_DATABASE_POOLED", default_value_t = false, action = ArgAction::Set)]
    pub database_pooled: bool,
    /// Statements prepared on each connection; 0 for a PgBouncer before 1.21.
    #[arg(long, env = "ASSAY_DATABASE_STATEMENT_CACHE", default_value_t = 100)]
    pub database_statement_cache: usize,
}

/// A transaction pooler breaks the lock under which the schema is migrated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--database-pooled is set, so --database-migration-url must lead to Postgres past the pooler")]
pub struct PooledMigration;

impl DatabaseFlags {
    /// How the store is to reach the database, with the defaults of [`Settings::new`] for what flags do not say.
    pub fn settings(&self, application_name: &str) -> Settings {
        Settings {
            application_name: application_name.to_owned(),
            statement_cache: self.database_statement_cache,
            pooled: self.database_pooled,
            replica_url: self.database_replica_url.clone(),
            ..Settings::new(&self.database_url)
        }
    }

    /// Refuses flags by which the schema cannot be migrated.
    ///
    /// # Errors
    /// When there is only the way through a pooler.
    pub fn check_migration(&self) -> Result<(), PooledMigration> {
        if self.database_pooled && self.database_migration_url.is_none() {
            Err(PooledMigration)
        } else {
            Ok(())
        }
    }

    /// Where the schema is migrated.
    pub fn migration_url(&self) -> &str {
        self.database_migration_url.as_ref().unwrap_or(&self.database_url)
    }
}

/// How the store reaches Postgres, and how long it waits for it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `postgres://user:password@host:port/database`.
    pub url: String,
    /// A replica, to read lists from.
    pub replica_url: Option<String>,
    /// What `pg_stat_activity` calls this process.
    pub application_name: String,
    /// The most connections held at once.
    pub max_connections: u32,
    /// How long a call waits for a connection.
    pub acquire_timeout: Duration,
    /// How long a call may take in all, waiting for a connection included.
    pub deadline: Duration,
    /// Prepared statements kept per connection. 0 for a PgBouncer before 1.21 in transaction mode.
    pub statement_cache: usize,
    /// The URL leads to a pooler that gives each transaction another connection. Nothing is then sent at connection
    /// time that such a pooler refuses.
    pub pooled: bool,
    /// How many active jobs tenants may have, as far as this store accepts them.
    pub quota: Quota,
}

impl Settings {
    /// The defaults for this URL: 10 connections, 2 s to get one, 5 s for a call, connected directly.
    pub fn new(url: impl Into<String>) -> Settings {
        Settings {
            url: url.into(),
            replica_url: None,
            application_name: "assay".to_owned(),
            max_connections: 10,
            acquire_timeout: Duration::from_secs(2),
            deadline: Duration::from_secs(5),
            statement_cache: 100,
            pooled: false,
            quota: Quota::NotAsked,
        }
    }
}

//! How the store reaches Postgres.

use std::time::Duration;

/// How the store reaches Postgres, and how long it waits for it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `postgres://user:password@host:port/database`.
    pub url: String,
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
}

impl Settings {
    /// The defaults for this URL: 10 connections, 2 s to get one, 5 s for a call, connected directly.
    pub fn new(url: impl Into<String>) -> Settings {
        Settings {
            url: url.into(),
            application_name: "assay".to_owned(),
            max_connections: 10,
            acquire_timeout: Duration::from_secs(2),
            deadline: Duration::from_secs(5),
            statement_cache: 100,
            pooled: false,
        }
    }
}

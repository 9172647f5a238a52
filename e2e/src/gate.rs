//! Keeping scorers from going on, at one exact point, for as long as a test needs that.

use std::path::Path;

use anyhow::{Context, Result};
use sqlx::{Connection, Executor, PgConnection};
use testkit::Process;
use uuid::Uuid;

use crate::rows::Database;
use crate::world::PATIENCE;
use testkit::{Seen, until};

/// While it is closed, no scorer gets further with a job under [`Gate::rubric`] than RUNNING.
///
/// A scorer first marks a job RUNNING and then, once for each version, reads its rubric. So the gate makes a rubric that
/// no scorer knows, and locks the table of rubrics against readers. Nothing else reads that table: jobs are accepted,
/// queued, claimed, renewed, started, taken over, cancelled and recorded as ever, and jobs under a rubric that the
/// scorer has read before are scored. No row is locked, so nothing that the gate holds up decides anything when it
/// goes on. A scorer that is kept from reading for longer than its deadline asks again.
#[derive(Debug)]
pub struct Gate {
    rubric: String,
    lock: PgConnection,
}

const NEW_RUBRIC: &str = "
WITH made AS (
  INSERT INTO rubrics (name, version, spec) SELECT $1, $1, spec FROM rubrics WHERE name = 'quick'
  RETURNING name, version
)
INSERT INTO current_rubrics (name, version) SELECT name, version FROM made";

impl Gate {
    /// Closes a gate.
    ///
    /// # Errors
    /// When Postgres does not do it.
    pub async fn close(database: &Database) -> Result<Gate> {
        let rubric = format!("held-{}", Uuid::new_v4().simple());
        let made = sqlx::query(NEW_RUBRIC).bind(&rubric).execute(&database.pool).await;
        made.context("make a rubric that no scorer knows")?;
        let lock = take(database, "LOCK TABLE rubrics IN ACCESS EXCLUSIVE MODE").await?;
        Ok(Gate { rubric, lock })
    }

    /// The rubric of jobs that the gate holds; it scores as `quick` does.
    pub fn rubric(&self) -> &str {
        &self.rubric
    }

    /// Opens it.
    ///
    /// # Errors
    /// When Postgres does not do it.
    pub async fn open(self) -> Result<()> {
        let_go(self.lock).await
    }
}

/// While it is up, Postgres begins no statement that may record an attempt: neither starts nor ends of attempts.
#[derive(Debug)]
pub struct Barrier(PgConnection);

const MET_BY: &str = "
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND application_name = $1 AND wait_event_type = 'Lock'";

impl Barrier {
    /// Puts it up.
    ///
    /// # Errors
    /// When Postgres does not do it.
    pub async fn before_attempts_are_recorded(database: &Database) -> Result<Barrier> {
        take(database, "LOCK TABLE scoring_attempts IN SHARE MODE").await.map(Barrier)
    }

    /// Waits until a statement of this scorer is held up. Gives the process of Postgres that serves it.
    ///
    /// # Errors
    /// When none is in time.
    pub async fn until_met_by(&self, scorer: &str, database: &Database) -> Result<Process> {
        let pid = until(format!("a statement of {scorer} is held up"), PATIENCE, async || {
            let found: Option<(i32,)> =
                sqlx::query_as(MET_BY).bind(scorer).fetch_optional(&database.pool).await?;
            Ok(found.map_or_else(|| Seen::NotYet("none".to_owned()), |(pid,)| Seen::Yes(pid)))
        })
        .await?;
        Process::by_pid("a session of Postgres", pid, Path::new("/dev/null"))
    }

    /// Takes it away.
    ///
    /// # Errors
    /// When Postgres does not do it.
    pub async fn lift(self) -> Result<()> {
        let_go(self.0).await
    }
}

/// A transaction that holds a lock.
async fn take(database: &Database, lock: &'static str) -> Result<PgConnection> {
    let options = database.pool.connect_options();
    let mut connection = PgConnection::connect_with(&options).await.context("connect")?;
    connection.execute("BEGIN").await.context("begin")?;
    connection.execute(lock).await.context(lock)?;
    Ok(connection)
}

async fn let_go(mut connection: PgConnection) -> Result<()> {
    connection.execute("COMMIT").await.context("let go of a lock")?;
    connection.close().await.context("leave Postgres")
}

//! Migrations while the version before goes on, and while others migrate too.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, SqlSafeStr};
use store::{Settings, Store};
use tokio::task::JoinSet;
use tokio::time::timeout;
use uuid::Uuid;

use crate::database::{Database, new_job};

/// The newest migration of the version before.
const PREVIOUS: i64 = 8;
/// Migrations up to this one are as they were applied somewhere. Two of them, 11 and 16, lock two tables at once: whoever of the
/// version before meets one of those the other way round is asked to try again.
const LOCKING_AS_THEY_LIKE: i64 = 20;
/// How a migration begins that has its own transactions.
const WITHOUT_TRANSACTION: &str = "-- no-transaction\n";
/// Nothing here takes this long, unless it waits for what never comes.
const LIMIT: Duration = Duration::from_secs(60);

/// The files of `migrations/` in their order: version, description, text.
fn files() -> Result<Vec<(i64, String, String)>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).context("a name")?;
        let (version, description) = name.split_once('_').context("a version and a description")?;
        files.push((version.parse()?, description.to_owned(), std::fs::read_to_string(&path)?));
    }
    files.sort();
    Ok(files)
}

/// Migrates an empty database up to a version, which is the last one.
async fn migrated_to(newest: i64) -> Result<(String, PgConnection)> {
    let url = testkit::fresh_database().await?;
    let mut connection = PgConnection::connect(&url).await?;
    let mut migrations = Vec::new();
    for (version, description, sql) in files()? {
        if version <= newest {
            let own_transactions = sql.starts_with(WITHOUT_TRANSACTION);
            let sql = AssertSqlSafe(sql).into_sql_str();
            let kind = MigrationType::Simple;
            migrations.push(Migration::new(version, description.into(), kind, sql, own_transactions));
        }
    }
    Migrator::with_migrations(migrations).run_direct(None, &mut connection, false).await?;
    Ok((url, connection))
}

/// A database as the version before left it, with a rubric and this many submissions.
async fn previous(submissions: i32) -> Result<String> {
    let (url, mut connection) = migrated_to(PREVIOUS).await?;
    connection.execute("INSERT INTO rubrics (name, version, spec) VALUES ('default', '1', '{}')").await?;
    connection.execute("INSERT INTO current_rubrics (name, version) VALUES ('default', '1')").await?;
    let load =
        "INSERT INTO submissions (status, content) SELECT 'SUBMITTED', '{}' FROM generate_series(1, $1)";
    sqlx::query(load).bind(submissions).execute(&mut connection).await?;
    Ok(url)
}

/// The version before: what its programs ask of Postgres for a job, from POST to DONE, in its own words.
struct PreviousVersion {
    connection: PgConnection,
}

impl PreviousVersion {
    async fn connect(url: &str) -> Result<PreviousVersion> {
        let options = PgConnectOptions::from_str(url)?.options([("statement_timeout", "5s")]);
        Ok(PreviousVersion { connection: options.connect().await? })
    }

    async fn accept(&mut self, submission: Uuid) -> Result<Uuid> {
        let job = Uuid::now_v7();
        let none: Vec<Option<String>> = vec![None];
        let accepted = sqlx::query(include_str!("previous/accept.sql"))
            .bind(vec![job])
            .bind(vec![submission])
            .bind(none.clone())
            .bind(vec!["default"])
            .bind(vec!["default"])
            .bind(vec![5_i16])
            .bind(vec![4])
            .bind(vec![60])
            .bind(vec![3600])
            .bind(vec![None::<jiff_sqlx::Timestamp>])
            .bind(vec![false])
            .bind(none.clone())
            .bind(none.clone())
            .bind(none)
            .bind(vec![None::<Uuid>])
            .bind(None::<Uuid>)
            .fetch_all(&mut self.connection)
            .await?;
        ensure!(accepted.len() == 1);
        Ok(job)
    }

    async fn start(&mut self, job: Uuid) -> Result<()> {
        let started = sqlx::query(include_str!("previous/start.sql"))
            .bind(vec![job])
            .bind(vec![1_i64])
            .bind(vec![0_i64])
            .bind(vec!["scorer-0"])
            .bind(1_000_000_i64)
            .fetch_all(&mut self.connection)
            .await?;
        ensure!(started.len() == 1);
        Ok(())
    }

    async fn finish(&mut self, job: Uuid) -> Result<()> {
        let finished = sqlx::query(include_str!("previous/finish.sql"))
            .bind(vec![job])
            .bind(vec![1_i64])
            .bind(vec!["done"])
            .bind(vec![50.0])
            .bind(vec!["Fine."])
            .bind(vec!["{}"])
            .bind(vec![None::<String>])
            .bind(vec![None::<i64>])
            .fetch_all(&mut self.connection)
            .await?;
        ensure!(finished.len() == 1);
        let queued = sqlx::query(include_str!("previous/mark_queued.sql")).bind(vec![job]);
        queued.execute(&mut self.connection).await?;
        Ok(())
    }

    /// Takes jobs from POST to DONE until it is told to stop; how many, and the longest that one took.
    async fn work(mut self, submissions: Vec<Uuid>, stop: Arc<AtomicBool>) -> Result<(i64, Duration)> {
        let (mut jobs, mut longest) = (0, Duration::ZERO);
        for submission in submissions.iter().cycle() {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let began = Instant::now();
            let job = self.accept(*submission).await?;
            self.start(job).await?;
            self.finish(job).await?;
            jobs += 1;
            longest = longest.max(began.elapsed());
        }
        Ok((jobs, longest))
    }
}

async fn number(url: &str, statement: &'static str) -> Result<i64> {
    let mut connection = PgConnection::connect(url).await?;
    Ok(sqlx::query_scalar(statement).fetch_one(&mut connection).await?)
}

async fn submissions(url: &str) -> Result<Vec<Uuid>> {
    let mut connection = PgConnection::connect(url).await?;
    Ok(sqlx::query_scalar("SELECT id FROM submissions").fetch_all(&mut connection).await?)
}

async fn is_current(url: &str) -> Result<()> {
    Ok(Store::connect(&Settings::new(url))?.check_schema().await?)
}

async fn migrate_eight_times_at_once(url: &str) -> Result<()> {
    let mut migrators = JoinSet::new();
    for _ in 0..8 {
        let url = url.to_owned();
        migrators.spawn(async move { store::migrate(&url).await });
    }
    while let Some(migrated) = migrators.join_next().await {
        migrated??;
    }
    Ok(())
}

const DONE: &str = "SELECT count(*) FROM scoring_jobs WHERE status = 'DONE'";

#[tokio::test]
async fn many_processes_may_migrate_an_empty_database_at_once() -> Result<()> {
    let url = testkit::fresh_database().await?;
    migrate_eight_times_at_once(&url).await?;
    is_current(&url).await
}

#[tokio::test]
async fn many_processes_may_migrate_a_database_of_the_version_before_at_once() -> Result<()> {
    let url = previous(1).await?;
    let job = PreviousVersion::connect(&url).await?.accept(submissions(&url).await?[0]).await?;
    migrate_eight_times_at_once(&url).await?;
    is_current(&url).await?;
    let row = Store::connect(&Settings::new(&url))?.job(job).await?.context("the job")?.job;
    assert_eq!(row.backoff_seconds, 2, "what a job of the version before had");
    Ok(())
}

/// The locks by which the transaction that asks stops writers of tables that it did not make itself.
const LOCKS_THAT_STOP_WRITERS: &str = "
SELECT c.relname || ': ' || l.mode
FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND c.relkind = 'r' AND c.oid::bigint <= $1
  AND c.relnamespace = 'public'::regnamespace
  AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
ORDER BY 1";

/// Whoever holds up writers and waits for more, be it of the same table, can be waited for by those whom it waits for: then
/// Postgres ends one of them, which may be a request. By what each transaction has locked at its end, none can.
#[tokio::test]
async fn no_migration_holds_up_writers_while_it_waits_for_another_lock() -> Result<()> {
    let (_, mut connection) = migrated_to(LOCKING_AS_THEY_LIKE).await?;
    let mut transactions = 0;
    for (version, _, sql) in files()? {
        if version <= LOCKING_AS_THEY_LIKE {
            continue;
        }
        for part in sql.split("COMMIT;") {
            let newest: i64 = sqlx::query_scalar("SELECT max(oid)::bigint FROM pg_class")
                .fetch_one(&mut connection)
                .await?;
            let statements = AssertSqlSafe(part.replace("BEGIN;", "")).into_sql_str();
            let mut transaction = connection.begin().await?;
            transaction.execute(statements).await?;
            let locks: Vec<String> =
                sqlx::query_scalar(LOCKS_THAT_STOP_WRITERS).bind(newest).fetch_all(&mut *transaction).await?;
            transaction.commit().await?;
            assert!(locks.len() <= 1, "a transaction of migration {version} stops writers of {locks:?}");
            transactions += locks.len();
        }
    }
    assert!(transactions > 0, "none of them locked anything");
    Ok(())
}

#[tokio::test]
async fn the_version_before_goes_on_while_migrations_are_applied_and_afterwards() -> Result<()> {
    let url = previous(200).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let all = submissions(&url).await?;
    let mut workers = Vec::new();
    for share in all.chunks(100) {
        let previous = PreviousVersion::connect(&url).await?;
        workers.push(tokio::spawn(previous.work(share.to_vec(), stop.clone())));
    }
    let until = async |jobs: i64| {
        timeout(LIMIT, async {
            while number(&url, DONE).await? < jobs {
                tokio::task::yield_now().await;
            }
            anyhow::Ok(())
        })
        .await?
    };
    until(20).await?;
    store::migrate(&url).await?;
    let by_then = number(&url, DONE).await?;
    until(by_then + 20).await?;
    stop.store(true, Ordering::Relaxed);
    let mut worked = 0;
    for worker in workers {
        let (jobs, longest) = worker.await??;
        // A migration gives up a lock after 1.5 s; the rest is the machine's.
        assert!(longest < Duration::from_secs(4), "a job took {longest:?}");
        worked += jobs;
    }
    assert_eq!(number(&url, DONE).await?, worked);
    // And this version works with what the version before has left.
    is_current(&url).await?;
    let store = Store::connect(&Settings::new(&url))?;
    assert!(store.accept(&[new_job(all[0])]).await?.iter().all(Result::is_ok));
    Ok(())
}

#[tokio::test]
async fn a_migration_that_waits_for_a_lock_does_not_hold_up_everybody_behind_it() -> Result<()> {
    let url = previous(1).await?;
    let submission = submissions(&url).await?[0];
    // Somebody reads for long, a backup say: the migration cannot have the table meanwhile.
    let mut reader = PgConnection::connect(&url).await?;
    reader.execute("BEGIN; LOCK TABLE scoring_jobs IN ACCESS SHARE MODE").await?;
    let migration = tokio::spawn({
        let url = url.clone();
        async move { store::migrate(&url).await }
    });
    waiting_migrator(&url).await?;
    // Behind it in the queue for the table.
    let mut previous = PreviousVersion::connect(&url).await?;
    let began = Instant::now();
    let job = previous.accept(submission).await?;
    assert!(began.elapsed() < Duration::from_secs(4), "waited for {:?}", began.elapsed());
    previous.start(job).await?;
    reader.execute("COMMIT").await?;
    timeout(LIMIT, migration).await???;
    is_current(&url).await
}

/// Waits until a migrator waits for a table; the process behind it.
async fn waiting_migrator(url: &str) -> Result<i32> {
    let mut connection = PgConnection::connect(url).await?;
    let waiting = "SELECT l.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid)
      WHERE NOT l.granted AND l.locktype = 'relation' AND a.application_name = 'assay-migrate'
        AND a.datname = current_database() LIMIT 1";
    timeout(LIMIT, async {
        loop {
            if let Some(pid) = sqlx::query_scalar(waiting).fetch_optional(&mut connection).await? {
                return Ok(pid);
            }
        }
    })
    .await?
}

#[tokio::test]
async fn the_next_migrator_completes_what_a_killed_one_began() -> Result<()> {
    let url = previous(1).await?;
    let mut reader = PgConnection::connect(&url).await?;
    reader.execute("BEGIN; LOCK TABLE scoring_jobs IN ACCESS SHARE MODE").await?;
    let migration = tokio::spawn({
        let url = url.clone();
        async move { store::migrate(&url).await }
    });
    let pid = waiting_migrator(&url).await?;
    let mut executioner = PgConnection::connect(&url).await?;
    sqlx::query("SELECT pg_terminate_backend($1)").bind(pid).execute(&mut executioner).await?;
    assert!(timeout(LIMIT, migration).await??.is_err());
    assert!(is_current(&url).await.is_err());
    reader.execute("COMMIT").await?;
    store::migrate(&url).await?;
    let database = Database::prepared(url).await?;
    database.done().await?;
    Ok(())
}

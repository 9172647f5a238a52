//! A database and a pool of a test's own, and scorers in this process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use domain::{AttemptOutcome, Claim, JobId, Knobs, LeaseSettings, Pool};
use queue::{Enqueue, Queue};
use runtime::Shutdown;
use scorer::{Engine, Sorting};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use store::{Accepted, CancelRequest, Cancelled, JobRow, NewJob, Scope, Store, ToQueue};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// The program. Children are processes of it.
pub(crate) const SCORER: &str = env!("CARGO_BIN_EXE_scorer");

/// Nothing that these tests wait for takes this long.
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) queue: Queue,
    pub(crate) pool: Pool,
    pub(crate) database_url: String,
    pub(crate) redis_url: String,
    /// For what only SQL by hand can do.
    pub(crate) sql: PgPool,
}

/// A scorer that runs in this process.
pub(crate) struct Running {
    shutdown: Shutdown,
    ended: JoinHandle<Result<()>>,
    port: u16,
}

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    settings: scorer::Settings,
}

impl Running {
    /// Stops it as SIGTERM would, and waits for its end.
    pub(crate) async fn stop(self) -> Result<()> {
        self.shutdown.request();
        tokio::time::timeout(LIMIT, self.ended).await.context("the scorer does not stop")??
    }

    /// What `/readyz` answers, which must be soon enough for a kubelet.
    pub(crate) async fn readiness(&self) -> Result<(u16, String)> {
        let begun = Instant::now();
        let answer = testkit::readiness::http_get(self.port, "/readyz").await?;
        ensure!(begun.elapsed() < Duration::from_secs(1), "answered after {:?}", begun.elapsed());
        Ok(answer)
    }

    /// Waits until `/readyz` says this. Gives what it says in words.
    pub(crate) async fn until_ready_is(&self, ready: bool) -> Result<String> {
        let begun = Instant::now();
        loop {
            let (status, text) = self.readiness().await?;
            if (status == 200) == ready {
                return Ok(text);
            }
            ensure!(begun.elapsed() < LIMIT, "{status}: {text}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl World {
    pub(crate) async fn new() -> Result<World> {
        let (database_url, redis_url) = (testkit::fresh_database().await?, testkit::redis_url().await?);
        let store = Store::connect(&store::Settings::new(&database_url))?;
        store.prepare(&database_url).await?;
        let lease = LeaseSettings::renewed_by_thirds(Duration::from_secs(30))?;
        Ok(World {
            store,
            queue: Queue::connect(&redis_url, lease)?,
            pool: format!("s-{}", Uuid::new_v4().simple()).parse()?,
            sql: PgPoolOptions::new().max_connections(2).connect(&database_url).await?,
            database_url,
            redis_url,
        })
    }

    /// Starts a scorer.
    pub(crate) async fn scorer(&self) -> Result<Running> {
        self.scorer_by_way_of(&self.database_url, &self.redis_url).await
    }

    /// Starts a scorer that reaches its servers at other addresses.
    pub(crate) async fn scorer_by_way_of(&self, database_url: &str, redis_url: &str) -> Result<Running> {
        let pool = self.pool.as_str();
        let settings = Arguments::try_parse_from([
            "scorer",
            "--database-url",
            database_url,
            "--redis-url",
            redis_url,
            "--pool",
            pool,
            "--max-timeout",
            "1s",
            "--grace",
            "1s",
        ])?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let shutdown = Shutdown::default();
        let engine = Arc::new(Sorting::new(SCORER, &settings.settings));
        let ended = tokio::spawn(scorer::run_with(engine, settings.settings, listener, shutdown.clone()));
        Ok(Running { shutdown, ended, port })
    }

    /// Starts a scorer whose scoring is another's, with so many slots.
    pub(crate) async fn scorer_with(&self, engine: Arc<dyn Engine>, concurrency: usize) -> Result<Running> {
        let settings = Arguments::try_parse_from([
            "scorer",
            &format!("--database-url={}", self.database_url),
            &format!("--redis-url={}", self.redis_url),
            &format!("--pool={}", self.pool),
            &format!("--concurrency={concurrency}"),
        ])?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let shutdown = Shutdown::default();
        let ended = tokio::spawn(scorer::run_with(engine, settings.settings, listener, shutdown.clone()));
        Ok(Running { shutdown, ended, port })
    }

    /// A job of the `quick` rubric with a single attempt, in Postgres alone.
    pub(crate) async fn accepted(&self) -> Result<JobId> {
        let knobs = Knobs { rubric: "quick".to_owned(), retries: 0, ..Knobs::default() };
        self.accepted_with(knobs, r#"{"code": "x = 1", "language": "python"}"#).await
    }

    /// A job of this world's pool, in Postgres alone.
    pub(crate) async fn accepted_with(&self, knobs: Knobs, content: &str) -> Result<JobId> {
        let submission = Uuid::now_v7();
        self.store.create_submission(submission, "default", None, content, true).await?;
        let new = NewJob {
            id: Uuid::now_v7(),
            submission_id: submission,
            scope: Scope::All,
            knobs: Knobs { pool: self.pool.clone(), ..knobs },
            traceparent: None,
            resource: None,
        };
        let id = new.id;
        let answers = self.store.accept(&[new]).await?;
        ensure!(answers == [Ok(Accepted::Created { id })], "{answers:?}");
        Ok(id)
    }

    /// The same, and on the queue.
    pub(crate) async fn queued(&self) -> Result<JobId> {
        let job = self.accepted().await?;
        self.enqueue(&self.store.active_of(&[job]).await?).await?;
        Ok(job)
    }

    /// A job of the `default` rubric on the queue, which is not light work.
    pub(crate) async fn queued_to_parse(&self, knobs: Knobs) -> Result<JobId> {
        self.queued_with(knobs, r#"{"code": "x = 1", "language": "python"}"#).await
    }

    /// A job of the `default` rubric on the queue, for this content.
    pub(crate) async fn queued_with(&self, knobs: Knobs, content: &str) -> Result<JobId> {
        let job = self.accepted_with(knobs, content).await?;
        self.enqueue(&self.store.active_of(&[job]).await?).await?;
        Ok(job)
    }

    /// Cancels a job, as a gateway does before it answers DELETE.
    pub(crate) async fn cancel(&self, job: JobId) -> Result<()> {
        let request = CancelRequest { job, by: "ann".to_owned(), reason: "no longer wanted".to_owned() };
        let answers = self.store.cancel(&[request]).await?;
        ensure!(matches!(answers[..], [Cancelled::Cancelled { .. }]), "{answers:?}");
        Ok(())
    }

    /// Puts jobs on the queue, as an operator does.
    pub(crate) async fn enqueue(&self, jobs: &[ToQueue]) -> Result<()> {
        let entry = |job: &ToQueue| Enqueue {
            job: job.job,
            rank: job.rank,
            delay: job.delay,
            epoch: job.epoch,
            leased: job.leased,
        };
        self.queue.enqueue(&self.pool, &jobs.iter().map(entry).collect::<Vec<_>>()).await?;
        Ok(())
    }

    /// Has the lease of a job end now, as if its scorer had gone unheard.
    pub(crate) fn let_lease_run_out(&self, job: JobId) -> Result<()> {
        let mut redis = redis::Client::open(self.redis_url.as_str())?.get_connection()?;
        let leases = format!("{{assay:{}}}:leases", self.pool);
        Ok(redis::cmd("ZADD").arg(leases).arg(1).arg(job.to_string()).exec(&mut redis)?)
    }

    /// Claims the one job that is ready.
    pub(crate) async fn claim(&self) -> Result<Claim> {
        let claimed = self.queue.claim(&self.pool, 1).await?;
        claimed.claims.first().copied().context("nothing is ready")
    }

    pub(crate) async fn row(&self, job: JobId) -> Result<JobRow> {
        Ok(self.store.job(job).await?.context("the job")?.job)
    }

    /// How the job's attempts ended, the oldest first.
    pub(crate) async fn outcomes(&self, job: JobId) -> Result<Vec<AttemptOutcome>> {
        Ok(self.store.attempts(job).await?.into_iter().map(|attempt| attempt.outcome).collect())
    }

    /// Waits until the job's row is as wanted. Postgres announces nothing.
    pub(crate) async fn until_row(
        &self,
        job: JobId,
        what: &str,
        wanted: impl Fn(&JobRow) -> bool,
    ) -> Result<JobRow> {
        let begun = Instant::now();
        loop {
            let row = self.row(job).await?;
            if wanted(&row) {
                return Ok(row);
            }
            if begun.elapsed() > LIMIT {
                bail!("the job is not {what}; it is {row:?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until as many statements wait for a lock in this database.
    pub(crate) async fn until_waiting(&self, statements: i64) -> Result<()> {
        const WAITS: &str = "SELECT count(*) FROM pg_stat_activity \
                             WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let begun = Instant::now();
        loop {
            let waiting: i64 = sqlx::query_scalar(WAITS).fetch_one(&self.sql).await?;
            if waiting == statements {
                return Ok(());
            }
            ensure!(begun.elapsed() < LIMIT, "{waiting} statements wait, not {statements}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

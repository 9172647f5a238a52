//! A whole Assay for one test.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use domain::{LeaseSettings, Pool};
use queue::Queue;
use testkit::{Service, Stack, StackBuilder};
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

use crate::api::Api;
use crate::gate::Gate;
use crate::rows::{Database, Row};
use crate::sources;
use testkit::{Seen, until};

/// The scorers' lease in these tests.
pub const LEASE: Duration = Duration::from_secs(2);

/// The operators' lease in these tests, which is the shortest there may be.
pub const LEADER_LEASE: Duration = Duration::from_secs(3);

/// How long anything may take that has no limit of its own.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What a machine of two cores can do at once without missing a lease.
static TURNS: Semaphore = Semaphore::const_new(TURNS_AT_ONCE);
const TURNS_AT_ONCE: usize = 2;

/// A running Assay and the ways to look at it.
#[derive(Debug)]
pub struct World {
    /// Its processes.
    pub stack: Stack,
    /// Its first gateway.
    pub api: Api,
    /// All its gateways.
    pub gateways: Vec<Api>,
    /// Its tables.
    pub database: Database,
    /// Its queue, wherever Redis is.
    queue: Queue,
}

/// A stack on the Postgres and the control plane that tests share, in a database and a namespace of its own. Its
/// operators see no other test's resources.
pub fn stack() -> StackBuilder {
    Stack::builder()
        .own_servers(false)
        .operator_env("ASSAY_LEADER_LEASE", &format!("{}s", LEADER_LEASE.as_secs()))
        .scorer_env("ASSAY_LEASE", &format!("{}s", LEASE.as_secs()))
}

/// Runs a test with a stack. If it fails, the error ends with the last lines of every log.
///
/// # Errors
/// The test's own, or that of a start.
pub async fn with(stack: StackBuilder, test: impl AsyncFnOnce(&World) -> Result<()>) -> Result<()> {
    run(1, stack, test).await
}

/// Like [`with`], while no other test runs.
///
/// # Errors
/// As for [`with`].
pub async fn alone_with(stack: StackBuilder, test: impl AsyncFnOnce(&World) -> Result<()>) -> Result<()> {
    run(TURNS_AT_ONCE, stack, test).await
}

/// The turn of a test that no other may run beside.
///
/// # Errors
/// Never, as long as turns are given at all.
pub async fn alone() -> Result<SemaphorePermit<'static>> {
    Ok(TURNS.acquire_many(u32::try_from(TURNS_AT_ONCE)?).await?)
}

async fn run(turns: usize, stack: StackBuilder, test: impl AsyncFnOnce(&World) -> Result<()>) -> Result<()> {
    let _turns = TURNS.acquire_many(u32::try_from(turns)?).await?;
    let world = World::of(stack.start().await?)?;
    match test(&world).await {
        Ok(()) => Ok(()),
        Err(error) => Err(anyhow!("{error:?}\n{}", world.stack.log_tails())),
    }
}

impl World {
    /// A stack, and the ways to look at it.
    ///
    /// # Errors
    /// When there can be no client of it.
    pub fn of(stack: Stack) -> Result<World> {
        let client = |gateway: &Service| Api::new(gateway.url(), &stack.token);
        let gateways: Vec<Api> = stack.gateways.iter().map(client).collect::<Result<_>>()?;
        let api = gateways.first().context("a stack has a gateway")?.clone();
        let database = Database::at(&stack.servers.database_url)?;
        let queue = Queue::connect(&stack.servers.redis_url, LeaseSettings::renewed_by_thirds(LEASE)?)?;
        Ok(World { api, gateways, database, queue, stack })
    }

    /// The scorer of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn scorer(&self, name: &str) -> Result<&Service> {
        let mut scorers = self.stack.scorers.iter();
        scorers.find(|scorer| scorer.name() == name).with_context(|| format!("there is no scorer {name}"))
    }

    /// The scorer that holds this job, or held it last.
    ///
    /// # Errors
    /// When nobody ever did.
    pub async fn scorer_of(&self, job: Uuid) -> Result<&Service> {
        let row = self.database.job(job).await?;
        self.scorer(row.scorer.as_deref().context("nobody has started the job")?)
    }

    /// Has a new job RUNNING at the gate.
    ///
    /// # Errors
    /// When it does not get there in time.
    pub async fn hold_one(&self, gate: &Gate) -> Result<Uuid> {
        let job = self.api.submit_and_score(&sources::python(1), gate.rubric()).await?;
        self.database.until_job_is(job, "RUNNING", PATIENCE).await?;
        Ok(job)
    }

    /// Waits until another scorer has this job.
    ///
    /// # Errors
    /// When none has it in time.
    pub async fn until_taken_from(&self, scorer: &Service, job: Uuid) -> Result<Row> {
        let taken = |row: &Row| row.scorer.as_deref() != Some(scorer.name());
        self.database.until_job(job, "is taken over", PATIENCE, taken).await
    }

    /// Who holds the operators' Lease, if anyone does.
    ///
    /// # Errors
    /// When the API server does not say.
    pub async fn leader(&self) -> Result<Option<String>> {
        const HOLDER: &str = "--output=jsonpath={.spec.holderIdentity}";
        let found =
            self.stack.kubectl(&["get", "lease", "--ignore-not-found", HOLDER, "assay-operator"]).await?;
        Ok(Some(found).filter(|holder| !holder.is_empty()))
    }

    /// Waits until an operator leads. Gives its place in the list of operators.
    ///
    /// # Errors
    /// When none does in time.
    pub async fn until_led(&self) -> Result<usize> {
        until("an operator leads", PATIENCE, async || {
            let holder = self.leader().await?;
            let place = self.stack.operators.iter().position(|operator| {
                // The host's name, the process, and what tells it from others of that name.
                let pid = operator.pid().map(|pid| format!("-{pid}_"));
                holder.as_ref().zip(pid).is_some_and(|(holder, pid)| holder.contains(&pid))
            });
            Ok(place.map_or_else(|| Seen::NotYet(format!("the Lease is held by {holder:?}")), Seen::Yes))
        })
        .await
    }

    /// Waits until the default pool's queue holds so many jobs.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn until_queue_holds(&self, ready: u64, delayed: u64, leased: u64) -> Result<()> {
        let wanted = [ready, delayed, leased];
        until(format!("[ready, delayed, leases] of the queue are {wanted:?}"), PATIENCE, async || {
            let depth = self.queue.depth(&Pool::default()).await?;
            let found = [depth.ready, depth.delayed, depth.leased];
            Ok(Seen::when(found == wanted, || format!("{found:?}")))
        })
        .await
    }

    /// When a job's lease ends unless it is renewed, in milliseconds by the clock of Redis.
    ///
    /// # Errors
    /// When it is not leased.
    pub async fn lease_deadline(&self, job: Uuid) -> Result<i64> {
        let answer =
            self.stack.own_redis()?.command(&format!("ZSCORE {{assay:default}}:leases {job}")).await?;
        let score = answer.lines().last().and_then(|line| line.trim().parse().ok());
        score.with_context(|| format!("job {job} has no lease: {answer:?}"))
    }
}

/// Waits until a scorer has stopped work on a job that is no longer its own, or has its write refused.
///
/// # Errors
/// When neither happens in time.
pub async fn until_stopped_or_refused(scorer: &Service) -> Result<()> {
    until("work was stopped, or a write refused", PATIENCE, async || {
        let stopped = metric(scorer, "assay_scorer_stopped_total").await?;
        let refused = metric(scorer, "assay_scorer_refused_total").await?;
        Ok(Seen::when(stopped + refused >= 1.0, || format!("{stopped} stopped, {refused} refused")))
    })
    .await
}

/// The sum of a metric of a service over all its labels.
///
/// # Errors
/// When the service does not answer.
pub async fn metric(service: &Service, name: &str) -> Result<f64> {
    let shown = service.metrics().await?;
    let values = shown.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let of_this_name = rest.starts_with([' ', '{']);
        rest.rsplit(' ').next().filter(|_| of_this_name)?.parse::<f64>().ok()
    });
    Ok(values.sum())
}

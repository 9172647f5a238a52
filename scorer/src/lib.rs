//! The scorer: claims jobs from the queue of one pool under leases, scores them, and records what came of it.
//!
//! ```text
//! claiming ──► attempt: start in Postgres ─► score ─► record in Postgres ─► end the lease
//!                 ▲ renewal, cancellation: stop the work when the job is no longer this scorer's
//!
//! score: light work on threads, the rest ── task ─► child process, killed when it is to stop
//!                                        ◄ answer ─
//! ```
//!
//! Postgres decides whose a job is: a scorer that lost its lease without noticing cannot record anything. While
//! Postgres is away, leases and results are kept; while Redis is away, running jobs go on and are recorded.

// Futures within futures: with optimisations the compiler looks deeper into them.
#![recursion_limit = "256"]

mod apart;
mod attempt;
mod cancellation;
mod child;
mod children;
mod claiming;
mod engine;
mod held;
mod leases;
mod metrics;
mod presence;
mod protocol;
mod records;
mod renewal;
mod rubrics;
pub mod scoring;
mod settings;
mod slots;
mod sorting;
mod threads;
mod traces;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use domain::Pool;
use queue::{Announcer, Queue};
use runtime::{Health, Outage, Shutdown, in_full, serve_health};
use store::Store;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

pub use child::Child;
pub use children::Children;
pub use engine::{Assignment, Engine, Outcome};
pub use settings::Settings;
pub use sorting::Sorting;
pub use threads::Threads;

use crate::attempt::Attempts;
use crate::held::Held;
use crate::leases::Leases;
use crate::metrics::Metrics;
use crate::presence::Presence;
use crate::records::Records;
use crate::rubrics::Rubrics;
use crate::slots::Slots;

/// Connections to Postgres: attempts begin on one and end on another; the rest are for cancellation, for rubrics and for
/// readiness.
const CONNECTIONS: u32 = 5;

/// How long handing back may take once the grace period is over: a call to Postgres and one to Redis, each with its
/// own limit.
const HAND_BACK_WITHIN: Duration = Duration::from_secs(11);

/// This program, also when the file it was started from has been replaced since.
const OWN_PROGRAM: &str = "/proc/self/exe";

const LOOK_FOR_SCHEMA_EVERY: Duration = Duration::from_millis(500);

/// Runs until the stop is asked for, then lets running jobs finish within the grace period and hands back the rest.
/// Starts without Postgres or Redis being there.
///
/// Scores in processes of this very program, which must become a [`Child`] when its arguments say so.
///
/// # Errors
/// When the settings contradict each other or cannot be used.
pub async fn run(settings: Settings, listener: TcpListener, shutdown: Shutdown) -> anyhow::Result<()> {
    let engine = Sorting::new(OWN_PROGRAM, &settings);
    run_with(Arc::new(engine), settings, listener, shutdown).await
}

/// Like [`run`], with another engine.
///
/// # Errors
/// When the settings contradict each other or cannot be used.
pub async fn run_with(
    engine: Arc<dyn Engine>,
    settings: Settings,
    listener: TcpListener,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let lease = settings.validate()?;
    let (metrics, registry) = Metrics::registered(&settings.pool);
    let store = Store::connect(&store::Settings {
        max_connections: CONNECTIONS,
        ..settings.database.settings(&settings.name)
    })
    .context("--database-url")?;
    let queue = Queue::connect(&settings.redis_url, lease).context("--redis-url")?;
    info!(addr = %listener.local_addr()?, name = settings.name, pool = %settings.pool, "listening");

    let health = health(shutdown.clone(), registry, &store, &queue, &settings.pool);
    tokio::spawn(serve_health(listener, health));
    if shutdown.unless_requested(await_schema(&store)).await.is_none() {
        return Ok(());
    }

    let last_call = CancellationToken::new();
    let held = Held::default();
    metrics.slots.set(i64::try_from(settings.concurrency).unwrap_or(i64::MAX));
    let slots = Slots::new(settings.concurrency, metrics.running.clone());
    let told = (settings.pool.clone(), Announcer::start(queue.clone()));
    let presence = Presence {
        queue: queue.clone(),
        pool: settings.pool.clone(),
        name: settings.name.clone(),
        slots: settings.concurrency,
        held: held.clone(),
        shutdown: shutdown.clone(),
    };
    let attempts = Arc::new(Attempts {
        leases: Leases::new(queue.clone(), settings.pool.clone(), &metrics),
        records: Records::new(store, settings.name.clone(), told, last_call.clone(), &metrics),
        held: held.clone(),
        rubrics: Rubrics::default(),
        engine,
        metrics,
        max_timeout: settings.max_timeout,
        last_call: last_call.clone(),
    });
    let mut upkeep = JoinSet::new();
    upkeep.spawn(renewal::renew_for_ever(attempts.clone()));
    upkeep.spawn(cancellation::look_for_ever(attempts.clone()));
    upkeep.spawn(presence.report_for_ever());
    let tasks = TaskTracker::new();
    let work = async {
        claiming::claim_until_stopped(attempts, slots, &tasks, &shutdown).await;
        drain(&tasks, &held, settings.grace, &last_call).await;
    };
    tokio::select! {
        () = work => {}
        // None ends by itself. Without them leases would run out under jobs that run: better to be restarted.
        ended = upkeep.join_next() => bail!("a part of the scorer failed: {ended:?}"),
    }
    // First, lest it say once more that it is there.
    upkeep.shutdown().await;
    presence::dismiss(&queue, &settings.pool, &settings.name).await;
    Ok(())
}

/// Ready while Postgres (with its tables) and Redis answer, and not stopping: without either, no job is scored here.
fn health(
    shutdown: Shutdown,
    registry: prometheus_client::registry::Registry,
    store: &Store,
    queue: &Queue,
    pool: &Pool,
) -> Health {
    let (store, queue, pool) = (store.clone(), queue.clone(), pool.clone());
    Health::new(shutdown, registry)
        .ready_when("postgres", move || {
            let store = store.clone();
            async move { store.check_schema().await.map_err(|error| in_full(&error)) }
        })
        .ready_when("redis", move || {
            let (queue, pool) = (queue.clone(), pool.clone());
            // Whether the queue is current is the operators' concern; here it matters that there is an answer.
            async move { queue.is_current(&pool).await.map(drop).map_err(|error| in_full(&error)) }
        })
}

/// Waits for the tables, which operators and gateways bring: a scorer needs no right to create any.
async fn await_schema(store: &Store) {
    let outage = Outage::of("the database");
    while let Err(error) = store.check_schema().await {
        outage.begin(&in_full(&error));
        sleep(LOOK_FOR_SCHEMA_EVERY).await;
    }
    outage.end();
}

/// Lets running jobs finish, and after the grace period has the rest handed back.
async fn drain(tasks: &TaskTracker, held: &Held, grace: Duration, last_call: &CancellationToken) {
    tasks.close();
    info!(jobs = held.all().len(), ?grace, "finishing what runs");
    if timeout(grace, tasks.wait()).await.is_err() {
        warn!(jobs = held.all().len(), "the grace period is over; handing back what is left");
        last_call.cancel();
        if timeout(HAND_BACK_WITHIN, tasks.wait()).await.is_err() {
            warn!(jobs = held.all().len(), "could not hand back everything; leases will run out");
        }
    }
}

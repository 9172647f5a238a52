//! The operator: takes up custom resources, keeps the queue on Redis true to Postgres, and shows in `.status` what
//! became of each job.
//!
//! Two halves that fail apart: [`queueing`] runs on every replica and needs no Kubernetes; [`jobs`] and [`batches`]
//! run on the leader alone, since leadership guards every write to Kubernetes.

pub mod batches;
mod cancelled;
pub mod cluster;
pub mod context;
pub mod jobs;
pub mod leadership;
pub mod manifests;
pub mod metrics;
pub mod queueing;
mod schema;
mod settings;

use std::sync::Arc;

use anyhow::Context as _;
use queue::Queue;
use runtime::{Health, Shutdown, in_full, serve_health};
use store::Store;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing::info;

pub use settings::Settings;

use crate::context::Context;
use crate::leadership::Candidate;
use crate::metrics::Metrics;
use crate::queueing::QueueKeeper;

/// Runs until the stop is asked for, then hands leadership back. Starts without Postgres, Redis or the API server
/// being there.
///
/// # Errors
/// When the settings contradict each other or cannot be used.
pub async fn run(settings: Settings, listener: TcpListener, shutdown: Shutdown) -> anyhow::Result<()> {
    let lease = settings.validate()?;
    let (metrics, registry) = Metrics::registered();
    let store = Store::connect(&settings.database.settings(&settings.name)).context("--database-url")?;
    let queue = Queue::connect(&settings.redis_url, lease).context("--redis-url")?;
    let client = cluster::client(settings.kubeconfig.as_deref()).await?;
    info!(addr = %listener.local_addr()?, name = settings.name, "listening");

    let health = Health::new(shutdown.clone(), registry).ready_when("postgres", {
        let store = store.clone();
        move || {
            let store = store.clone();
            async move { store.check_schema().await.map_err(|error| in_full(&error)) }
        }
    });
    tokio::spawn(serve_health(listener, health));
    if schema::await_current(settings.database.migration_url(), &store, &shutdown).await.is_none() {
        return Ok(());
    }

    let keeper = QueueKeeper::new(store, queue, metrics.clone());
    let mut tasks = JoinSet::new();
    tasks.spawn(queueing::sweep(keeper.clone(), settings.sweep_after, shutdown.clone()));
    tasks.spawn(queueing::keep_all_true(
        keeper.clone(),
        settings.pools.clone(),
        settings.audit_every,
        shutdown.clone(),
    ));
    tasks.spawn(lead(settings, client, keeper, metrics, shutdown));
    // Each ends by itself when the stop is asked for; one that panics takes the process with it, to be restarted.
    while let Some(ended) = tasks.join_next().await {
        ended.context("a part of the operator failed")?;
    }
    Ok(())
}

async fn lead(
    settings: Settings,
    client: kube::Client,
    keeper: QueueKeeper,
    metrics: Metrics,
    shutdown: Shutdown,
) {
    let candidate = Candidate::new(
        client.clone(),
        &settings.namespace,
        settings.name.clone(),
        settings.leader_lease,
        metrics.clone(),
    );
    let context = Arc::new(Context::new(client, keeper, metrics, &settings));
    candidate
        .lead_until_stopped(&shutdown, |stop| {
            let context = context.clone();
            async move {
                // Tasks of their own: renewing the Lease must not wait for a busy reconciliation.
                let jobs = tokio::spawn(jobs::lead(context.clone(), stop.clone()));
                let batches = tokio::spawn(batches::lead(context, stop.clone()));
                let first = futures::future::select(jobs, batches).await;
                // One that ended before it was told to has panicked: the other must not lead alone.
                stop.cancel();
                let (futures::future::Either::Left((_, other)) | futures::future::Either::Right((_, other))) =
                    first;
                let _ = other.await;
            }
        })
        .await;
}

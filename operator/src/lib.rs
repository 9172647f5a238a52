//! The operator: takes up custom resources, keeps the queue on Redis true to Postgres, and shows in `.status` what
//! became of each job.
//!
//! Parts that fail apart: `queueing` and `retention` run on every replica and need no Kubernetes; `jobs`, `batches` and
//! `deletion_cost` run on the leader alone, since leadership guards their writes to Kubernetes; `external_metrics` answers
//! autoscalers on every replica.

mod arrivals;
mod batches;
pub mod cluster;
mod context;
mod definition;
mod deletion;
mod deletion_cost;
mod events;
mod external_metrics;
mod following;
mod jobs;
mod leadership;
pub mod manifests;
mod metrics;
mod one_line;
mod parts;
mod queueing;
mod reconciling;
mod redrive;
mod rejection;
mod retention;
mod schema;
mod settings;
mod traces;
mod vitals;
mod watching;

use std::sync::Arc;

use anyhow::Context as _;
use domain::Pool;
use futures::FutureExt;
use prometheus_client::registry::Registry;
use queue::Queue;
use runtime::{Health, Shutdown, in_full, serve_health};
use store::Store;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

pub use external_metrics::ExternalMetricsFlags;
pub use leadership::LEASE_NAME;
pub use retention::{ExportFlags, RetentionFlags, export};
pub use settings::Settings;

use crate::context::Context;
use crate::deletion_cost::DeletionCost;
use crate::external_metrics::{ExternalMetrics, Readiness};
use crate::leadership::Candidate;
use crate::metrics::Metrics;
use crate::queueing::QueueKeeper;

/// Runs until the stop is asked for, then hands leadership back. Starts without Postgres, Redis or the API server
/// being there.
///
/// # Errors
/// When the settings contradict each other or cannot be used, or when a part of it fails.
pub async fn run(settings: Settings, listener: TcpListener, shutdown: Shutdown) -> anyhow::Result<()> {
    let lease = settings.validate()?;
    let external_metrics = settings.external_metrics.settings()?;
    let (metrics, registry) = Metrics::registered();
    let store = Store::connect(&settings.database.settings(&settings.name)).context("--database-url")?;
    let queue = Queue::connect(&settings.redis_url, lease).context("--redis-url")?;
    let client = cluster::client(settings.kubeconfig.as_deref()).await?;
    info!(addr = %listener.local_addr()?, name = settings.name, "listening");

    let mut health = health(shutdown.clone(), registry, &store, &queue, &settings.pools);
    let readiness = Readiness::new();
    if external_metrics.is_some() {
        let readiness = readiness.clone();
        health = health.ready_when("external metrics", move || std::future::ready(readiness.check()));
    }
    tokio::spawn(serve_health(listener, health));
    let mut parts: JoinSet<anyhow::Result<()>> = JoinSet::new();
    let (pools, known_pools) = watch::channel(settings.pools.clone());
    // Served before Postgres is there: while this API cannot be discovered, no namespace of the whole cluster can be deleted.
    if let Some(external_metrics) = external_metrics {
        let external_metrics = ExternalMetrics {
            settings: external_metrics,
            client: client.clone(),
            namespace: settings.namespace.clone(),
            watch_namespace: settings.watch_namespace.clone(),
            queue: queue.clone(),
            pools: known_pools.clone(),
            metrics: metrics.clone(),
            readiness,
        };
        parts.spawn(external_metrics.serve(shutdown.clone()));
    }
    if schema::await_current(settings.database.migration_url(), &store, &shutdown).await.is_none() {
        return parts::together(parts, || shutdown.is_requested()).await;
    }

    let keeper = QueueKeeper::new(store, queue, metrics.clone());
    let sweep = queueing::sweep(keeper.clone(), settings.sweep_after, shutdown.clone());
    parts.spawn(sweep.map(Ok));
    parts.spawn(
        queueing::keep_all_true(keeper.clone(), pools, settings.audit_every, shutdown.clone()).map(Ok),
    );
    parts.spawn(
        vitals::watch_over(keeper.clone(), known_pools.clone(), metrics.clone(), shutdown.clone()).map(Ok),
    );
    parts.spawn(
        retention::retain(
            keeper.store.clone(),
            settings.retention.clone(),
            metrics.clone(),
            shutdown.clone(),
        )
        .map(Ok),
    );
    parts.spawn(lead(settings, client, keeper, known_pools, metrics, shutdown.clone()));
    parts::together(parts, || shutdown.is_requested()).await
}

/// Ready while Postgres (with its tables) and Redis answer, and not stopping: without either, nothing is queued. Of
/// Kubernetes it says nothing, since queueing goes on without it.
fn health(shutdown: Shutdown, registry: Registry, store: &Store, queue: &Queue, pools: &[Pool]) -> Health {
    let (store, queue, pools) = (store.clone(), queue.clone(), pools.to_vec());
    Health::new(shutdown, registry)
        .ready_when("postgres", move || {
            let store = store.clone();
            async move { store.check_schema().await.map_err(|error| in_full(&error)) }
        })
        .ready_when("redis", move || {
            let (queue, pools) = (queue.clone(), pools.clone());
            // In a cluster, each pool may be at another primary.
            async move {
                for pool in &pools {
                    queue.is_current(pool).await.map_err(|error| in_full(&error))?;
                }
                Ok(())
            }
        })
}

async fn lead(
    settings: Settings,
    client: kube::Client,
    keeper: QueueKeeper,
    pools: watch::Receiver<Vec<Pool>>,
    metrics: Metrics,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let candidate = Candidate::new(
        client.clone(),
        &settings.namespace,
        &settings.name,
        settings.leader_lease,
        metrics.clone(),
    );
    let deletion_cost = settings.scorer_pods.clone().map(|pods| {
        Arc::new(DeletionCost {
            client: client.clone(),
            namespace: settings.namespace.clone(),
            pods,
            queue: keeper.queue.clone(),
            pools,
        })
    });
    let context = Arc::new(Context::new(client, keeper, metrics, &settings));
    let work = |stop: CancellationToken| {
        // Tasks of their own: renewing the Lease must not wait for a busy reconciliation.
        let mut parts: JoinSet<anyhow::Result<()>> = JoinSet::new();
        parts.spawn(jobs::lead(context.clone(), stop.clone()).map(Ok));
        parts.spawn(batches::lead(context.clone(), stop.clone()).map(Ok));
        if let Some(deletion_cost) = &deletion_cost {
            parts.spawn(deletion_cost.clone().lead(stop.clone()).map(Ok));
        }
        parts::together(parts, move || stop.is_cancelled())
    };
    candidate.lead_until_stopped(&shutdown, work).await
}

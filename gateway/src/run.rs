//! Starting everything, and stopping it in order.

use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::middleware;
use axum::response::Response;
use domain::LeaseSettings;
use queue::{Announcer, Queue};
use runtime::metrics::Dependency;
use runtime::{Health, Outage, Shutdown, serve_health};
use store::Store;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout_at;
use tower::util::option_layer;
use tracing::{info, warn};

use crate::accept::Acceptor;
use crate::app::App;
use crate::authentication::Authentication;
use crate::cluster::Cluster;
use crate::events::{Hub, listen, look_at_batches, look_at_jobs};
use crate::idempotency::forget;
use crate::leaving::leave_when_stopping;
use crate::metrics::Metrics;
use crate::overload::Overload;
use crate::pools::Pools;
use crate::rate_limit::RateLimits;
use crate::relay::{self, Relayer};
use crate::router::router;
use crate::security_headers::{self, Encrypted};
use crate::server::{Door, Tls, serve};
use crate::{Settings, cross_origin, quota, schema};

/// Where a gateway listens.
#[derive(Debug)]
pub struct Listeners {
    /// For the API and the probes.
    pub http: TcpListener,
    /// For metrics and the probes, also while the gateway drains.
    pub metrics: TcpListener,
}

impl Listeners {
    /// Listens where the settings say.
    ///
    /// # Errors
    /// When something else listens there.
    pub async fn bind(settings: &Settings) -> anyhow::Result<Listeners> {
        let bind = async |address| {
            TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
        };
        Ok(Listeners { http: bind(settings.listen).await?, metrics: bind(settings.metrics_addr).await? })
    }
}

/// Serves until the stop is requested, and then drains: first the requests under way, then the relay.
///
/// # Errors
/// When the settings contradict each other or a listener fails.
pub async fn run(settings: Settings, listeners: Listeners, shutdown: Shutdown) -> anyhow::Result<()> {
    settings.check()?;
    runtime::use_ring();
    let mut registry = runtime::metrics::registry(env!("CARGO_PKG_VERSION"));
    let metrics = Metrics::register(&mut registry);
    let store = Store::connect(&settings.store()).context("--database-url")?;
    let postgres = Arc::new(Outage::shown_by("Postgres", metrics.dependencies.away(Dependency::POSTGRES)));
    let recorded = Arc::new(Notify::new());
    let (prepared_tx, prepared) = watch::channel(false);

    // Whatever is still running when this function ends, however it ends, ends with it.
    let mut background = JoinSet::new();
    let authentication = Authentication::start(
        &settings.authentication,
        Cluster::new(settings.kubeconfig.clone()),
        &metrics,
        &mut background,
    )?;
    background.spawn(schema::prepare(
        store.clone(),
        settings.database.migration_url().to_owned(),
        postgres.clone(),
        prepared_tx,
        shutdown.clone(),
    ));
    background.spawn(quota::keep(store.clone(), prepared.clone(), shutdown.clone()));
    let health = Health::new(shutdown.clone(), registry).ready_when("postgres", {
        let (store, prepared) = (store.clone(), prepared.clone());
        move || schema::is_ready(store.clone(), prepared.clone())
    });
    background.spawn(serve_health(listeners.metrics, health.clone()));

    let relayer = Relayer {
        store: store.clone(),
        cluster: Cluster::new(settings.kubeconfig.clone()),
        namespace: settings.namespace.clone(),
        limits: relay::Limits {
            batch_overflow: settings.mirror_batch_overflow,
            live: settings.mirror_live_limit,
        },
        kubernetes: Outage::shown_by("Kubernetes", metrics.dependencies.away(Dependency::KUBERNETES)),
        metrics: metrics.clone(),
    };
    let relay_stop = Shutdown::default();
    let mut relay = JoinSet::new();
    relay.spawn(relay::run(relayer, recorded.clone(), prepared, postgres.clone(), relay_stop.clone()));

    // Leases are for those who claim: nothing is claimed here.
    let lease = LeaseSettings::renewed_by_thirds(Duration::from_secs(30))?;
    let connect = |url| Queue::connect(url, lease);
    let queue = settings.redis_url.as_deref().map(connect).transpose().context("--redis-url")?;
    let watched = Pools::new(settings.pools.clone(), shutdown.clone());
    background.spawn(watched.clone().sample(store.clone(), queue.clone()));
    let hub = start_hub(&settings, queue, &store, &postgres, &metrics, &mut background);

    background.spawn(forget(store.clone(), settings.idempotency.idempotency_ttl));

    let trusted_proxies = settings.proxies.trusted_proxies.clone();
    let rate_limits = RateLimits::start(
        &settings.rate_limit,
        trusted_proxies.clone(),
        settings.redis_url.as_deref(),
        metrics.clone(),
    )
    .context("--redis-url")?;
    let tls =
        match Tls::start(&settings.server.tls, metrics.clone()).await.context("--tls-cert, --tls-key")? {
            Some((tls, reloader)) => {
                background.spawn(reloader.run(shutdown.clone()));
                Some(tls)
            }
            None => None,
        };
    let deadline = settings.request_timeout;
    let app = Arc::new(App {
        authentication,
        record: store.clone(),
        acceptor: Acceptor::start(store.clone(), deadline, recorded.clone(), postgres, metrics.clone()),
        recorded,
        hub,
        shutdown: shutdown.clone(),
        pools: settings.pools.clone(),
        watched,
        body_limit: settings.body_limit,
        body_timeout: settings.body_timeout,
        overload: Overload::new(&settings.overload, metrics.clone()),
        rate_limits,
        metrics: metrics.clone(),
    });
    let (leaving, encrypted) = (shutdown.clone(), Encrypted(tls.is_some()));
    let api = router(app)
        .layer(option_layer(cross_origin::layer(&settings.cross_origin)))
        .merge(health.probes())
        .layer(middleware::map_response(move |response: Response| {
            ready(leave_when_stopping(&leaving, security_headers::add(encrypted, response)))
        }));
    info!(listen = %listeners.http.local_addr()?, namespace = settings.namespace, "serving");
    let door = Door {
        listener: listeners.http,
        settings: settings.server.clone(),
        tls,
        trusted_proxies,
        drain_delay: settings.drain_delay,
        drain_grace: settings.drain_grace,
        metrics,
    };
    let grace_ends = tokio::select! {
        ends = serve(door, api, &shutdown) => ends,
        // Jobs would be accepted and never mirrored: better to be restarted.
        panic = first_panic(&mut relay) => return Err(panic).context("the relay failed"),
        panic = first_panic(&mut background) => return Err(panic).context("a part of the gateway failed"),
    };

    relay_stop.request();
    if timeout_at(grace_ends, relay.join_next()).await.is_err() {
        warn!("the relay did not finish its round in time; what is left is relayed at the next start");
    }
    timeout_at(grace_ends, store.close()).await.ok();
    info!("stopped");
    Ok(())
}

/// Starts what tells those who wait of changes.
fn start_hub(
    settings: &Settings,
    queue: Option<Queue>,
    store: &Store,
    postgres: &Arc<Outage>,
    metrics: &Metrics,
    background: &mut JoinSet<()>,
) -> Hub {
    let hub =
        Hub::new(settings.events.watchers, queue.clone().map(Announcer::start), metrics.watchers.clone());
    match (queue, settings.pools.first()) {
        (Some(queue), Some(pool)) => {
            let redis = Outage::shown_by("Redis", metrics.dependencies.away(Dependency::REDIS));
            background.spawn(listen(queue.listener(pool.clone()), hub.clone(), redis));
        }
        _ => info!("without ASSAY_REDIS_URL, those who wait learn of changes within a second"),
    }
    background.spawn(look_at_jobs(hub.clone(), store.clone(), postgres.clone()));
    background.spawn(look_at_batches(hub.clone(), store.clone(), postgres.clone()));
    hub
}

/// Waits for one of these to panic; those that end otherwise have done what they were for.
async fn first_panic(tasks: &mut JoinSet<()>) -> JoinError {
    while let Some(ended) = tasks.join_next().await {
        if let Err(panic) = ended {
            return panic;
        }
    }
    pending().await
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[tokio::test]
    async fn a_part_that_panics_is_told_from_one_that_is_done() {
        let mut tasks = JoinSet::new();
        tasks.spawn(async {});
        assert!(futures::poll!(pin!(first_panic(&mut tasks))).is_pending());
        tasks.spawn(async {});
        tasks.spawn(async { panic!("a defect") });
        assert!(first_panic(&mut tasks).await.is_panic());
    }
}

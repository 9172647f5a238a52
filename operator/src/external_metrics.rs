//! The external metrics API of Kubernetes (`external.metrics.k8s.io/v1beta1`): what autoscalers ask to know how many
//! scorers a pool needs. Every replica serves it.
//!
//! ```text
//! HorizontalPodAutoscaler ─▶ API server ─ TLS both ways ─▶ server ─▶ caller ─▶ access ─▶ readings ─▶ Redis
//!                                │ caBundle                   ▲ certificate     ▲ SubjectAccessReview
//!                            APIService ◀────── keeper ──▶ Secret            trust: ConfigMap
//! ```
//!
//! What is not known is an error and not zero: nobody may stop scorers because Redis is away.

mod access;
mod caller;
mod certificates;
mod discovery;
mod keeper;
mod kept;
mod one_object;
mod quantity;
mod readings;
mod refusal;
mod routes;
mod said;
mod selector;
mod server;
mod settings;
mod trust;

use std::sync::Arc;

use anyhow::Context;
use domain::Pool;
use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use queue::Queue;
use runtime::{Outage, Shutdown};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub use settings::ExternalMetricsFlags;
pub(crate) use settings::ExternalMetricsSettings;

use crate::metrics::Metrics;
use access::Access;
use keeper::Keeper;
use readings::Readings;
use routes::Answering;
use trust::{CONFIG_MAP, CONFIG_MAP_NAMESPACE, Trust};

/// The server of external metrics before it is started.
pub(crate) struct ExternalMetrics {
    pub(crate) settings: ExternalMetricsSettings,
    pub(crate) client: Client,
    /// Where the Service and the Secret are.
    pub(crate) namespace: String,
    /// Where else somebody may ask for the pools.
    pub(crate) watch_namespace: Option<String>,
    pub(crate) queue: Queue,
    pub(crate) pools: watch::Receiver<Vec<Pool>>,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Readiness,
}

/// Whether external metrics can be asked for, once so always.
#[derive(Clone, Debug)]
pub(crate) struct Readiness {
    ready: watch::Sender<bool>,
}

impl Readiness {
    /// Not yet.
    pub(crate) fn new() -> Readiness {
        Readiness { ready: watch::Sender::new(false) }
    }

    /// Says what is missing.
    ///
    /// # Errors
    /// When something is.
    pub(crate) fn check(&self) -> Result<(), String> {
        if *self.ready.borrow() {
            return Ok(());
        }
        Err("there is no certificate yet, or it is not known whose callers to believe".to_owned())
    }
}

impl ExternalMetrics {
    /// Serves until the stop is asked for.
    ///
    /// # Errors
    /// When it cannot listen.
    pub(crate) async fn serve(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let addr = self.settings.addr;
        let listener = TcpListener::bind(addr)
            .await
            .with_context(|| format!("--external-metrics-addr: cannot listen on {addr}"))?;
        let (serve, tls) = watch::channel::<Option<Arc<ServerConfig>>>(None);
        let (believe, trust) = watch::channel::<Option<Arc<Trust>>>(None);
        let keeper = Keeper::new(&self.client, &self.namespace, self.settings, serve, self.metrics.clone());
        let namespaces = std::iter::once(self.namespace).chain(self.watch_namespace).collect();
        let router = routes::router(Answering {
            client: self.client.clone(),
            readings: Readings::new(self.queue),
            pools: self.pools,
            namespaces,
            trust: trust.clone(),
            access: Access::new(),
            metrics: self.metrics,
        });
        tokio::join!(
            keeper.keep(shutdown.clone()),
            learn_whom_to_believe(self.client, believe, shutdown.clone()),
            say_when_ready(tls.clone(), trust.clone(), self.readiness, shutdown.clone()),
            server::serve(listener, tls, trust, router, shutdown),
        );
        Ok(())
    }
}

/// Follows the ConfigMap in which the API server says whose callers to believe. One that cannot be read changes nothing.
async fn learn_whom_to_believe(
    client: Client,
    believe: watch::Sender<Option<Arc<Trust>>>,
    shutdown: Shutdown,
) {
    let maps: Api<ConfigMap> = Api::namespaced(client, CONFIG_MAP_NAMESPACE);
    let mut seen = Box::pin(one_object::follow(maps, CONFIG_MAP));
    let reading = Outage::of("reading whose callers of external metrics to believe");
    while let Some(Some(seen)) = shutdown.unless_requested(seen.next()).await {
        match seen {
            Err(error) => reading.begin(&runtime::in_full(&error)),
            Ok(None) => reading.begin(&format!("there is no ConfigMap {CONFIG_MAP_NAMESPACE}/{CONFIG_MAP}")),
            Ok(Some(map)) => {
                let trust = Trust::read(&map.data.unwrap_or_default());
                reading.note(&trust);
                if let Ok(trust) = trust {
                    believe.send_replace(Some(Arc::new(trust)));
                }
            }
        }
    }
}

async fn say_when_ready(
    mut tls: watch::Receiver<Option<Arc<ServerConfig>>>,
    mut trust: watch::Receiver<Option<Arc<Trust>>>,
    readiness: Readiness,
    shutdown: Shutdown,
) {
    let both = async { is_known(&mut tls).await && is_known(&mut trust).await };
    if shutdown.unless_requested(both).await == Some(true) {
        readiness.ready.send_replace(true);
    }
}

/// Waits until there is something, and returns whether there ever will be.
async fn is_known<T>(receiver: &mut watch::Receiver<Option<T>>) -> bool {
    receiver.wait_for(Option::is_some).await.is_ok()
}

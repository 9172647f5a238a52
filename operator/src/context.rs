//! What the leader works with.

use std::sync::Arc;

use domain::Pool;
use kube::api::Api;
use kube::runtime::events::{Recorder, Reporter};
use kube::{Client, Resource, ResourceExt};
use resources::{MADE_BY_GATEWAY, MANAGED_BY};
use runtime::{GroupCommit, GroupCommitError};
use store::{InvalidItem, Resolved, ResourceRef, ResourceRequest, Store, StoreError, ToQueue};
use uuid::Uuid;

use crate::Settings;
use crate::arrivals::Arrivals;
use crate::cluster::{Kind, Seen};
use crate::definition::DefinitionError;
use crate::metrics::{Metrics, QUEUE, QueuedBy, RESOLVE};
use crate::queueing::{QueueKeeper, QueueingError};

/// The most resources that one statement resolves, and the most jobs that one script call queues.
const LARGEST_BATCH: usize = 512;

/// Everything a reconciliation needs.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) store: Store,
    pub(crate) keeper: QueueKeeper,
    pub(crate) events: Recorder,
    pub(crate) metrics: Metrics,
    /// ScoringJobs whose change waits to be taken up.
    pub(crate) arrived_jobs: Arrivals,
    /// The same of ScoringBatches.
    pub(crate) arrived_batches: Arrivals,
    pub(crate) pools: Vec<Pool>,
    /// The only namespace whose resources are taken up, if there is one.
    watch_namespace: Option<String>,
    /// The namespace in which a resource's name is its job's id.
    pub(crate) gateway_namespace: String,
    /// Resources wait here to be resolved together.
    pub(crate) resolve: GroupCommit<ResourceRequest, Result<Resolved, InvalidItem>, Arc<StoreError>>,
    /// Jobs wait here to be queued together.
    pub(crate) queue: GroupCommit<ToQueue, (), Arc<QueueingError>>,
}

/// Why a resource was not reconciled; it is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReconcileError {
    /// Postgres did not say what the resource stands for.
    #[error("cannot resolve the resource in Postgres")]
    Resolve(#[source] GroupCommitError<Arc<StoreError>>),
    /// Postgres did not answer otherwise.
    #[error("cannot read or write Postgres")]
    Store(#[from] StoreError),
    /// The job was not put on the queue along with others.
    #[error("cannot queue the job")]
    Queue(#[source] GroupCommitError<Arc<QueueingError>>),
    /// The queue was not brought in line.
    #[error("cannot change the queue")]
    Queueing(#[from] QueueingError),
    /// The API server did not do as asked.
    #[error("cannot write to the API server")]
    Cluster(#[from] crate::cluster::ClusterError),
    /// What the resource stands for kept changing.
    #[error("what the resource stands for kept changing while it was looked at")]
    Unsettled,
    /// Whether absent resources were deleted cannot be told.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// The API server gave an object without name, namespace or uid.
    #[error("the API server gave an object without name, namespace or uid")]
    Nameless,
}

impl Context {
    /// The leader's tools.
    pub(crate) fn new(client: Client, keeper: QueueKeeper, metrics: Metrics, settings: &Settings) -> Self {
        let store = keeper.store.clone();
        let reporter =
            Reporter { controller: "assay-operator".to_owned(), instance: Some(settings.name.clone()) };
        let resolve = GroupCommit::measured("resolve", LARGEST_BATCH, metrics.commits.of(RESOLVE), {
            let store = store.clone();
            move |requests: Vec<ResourceRequest>| {
                let store = store.clone();
                async move { store.resolve(&requests).await.map_err(Arc::new) }
            }
        });
        let queue = GroupCommit::measured("queue", LARGEST_BATCH, metrics.commits.of(QUEUE), {
            let keeper = keeper.clone();
            move |jobs: Vec<ToQueue>| {
                let keeper = keeper.clone();
                async move {
                    keeper.queue_and_note(&jobs, QueuedBy::RESOURCE).await.map_err(Arc::new)?;
                    Ok(vec![(); jobs.len()])
                }
            }
        });
        let events = Recorder::new(client.clone(), reporter);
        Context {
            client,
            store,
            keeper,
            events,
            metrics,
            arrived_jobs: Arrivals::default(),
            arrived_batches: Arrivals::default(),
            pools: settings.pools.clone(),
            watch_namespace: settings.watch_namespace.clone(),
            gateway_namespace: settings.namespace.clone(),
            resolve,
            queue,
        }
    }

    /// Whether resources in this namespace are taken up. Of others it is not known, nor to be asked, whether they are there.
    pub(crate) fn watches(&self, namespace: &str) -> bool {
        self.watch_namespace.as_deref().is_none_or(|watched| watched == namespace)
    }

    /// The resources of a kind that are taken up.
    pub(crate) fn watched<K: Kind>(&self) -> Api<Seen<K>> {
        match &self.watch_namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    /// Which resource this is.
    ///
    /// # Errors
    /// [`ReconcileError::Nameless`], which the API server never causes.
    pub(crate) fn reference<K: Resource>(&self, resource: &K) -> Result<ResourceRef, ReconcileError> {
        let uid = resource.uid().and_then(|uid| uid.parse().ok()).ok_or(ReconcileError::Nameless)?;
        let namespace = resource.namespace().ok_or(ReconcileError::Nameless)?;
        Ok(ResourceRef { namespace, name: resource.name_any(), uid })
    }

    /// The id that the resource's name stands for, if the gateway may have made it.
    pub(crate) fn named_id(&self, resource: &ResourceRef) -> Option<Uuid> {
        let in_its_namespace = resource.namespace == self.gateway_namespace;
        in_its_namespace.then(|| resource.name.parse().ok()).flatten()
    }
}

/// Whether the gateway says that it made the resource.
pub(crate) fn is_made_by_gateway<K: Resource>(resource: &K) -> bool {
    resource.labels().get(MANAGED_BY).is_some_and(|by| by == MADE_BY_GATEWAY)
}

//! The way to the API server.

use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use k8s_openapi::NamespaceResourceScope;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, Config, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use uuid::Uuid;

/// The longest silence on a connection. Watches are ended by the server before that, so only a dead peer is so quiet.
const LONGEST_SILENCE: Duration = Duration::from_secs(40);

/// How long one watch lasts before it is begun anew, in seconds; see [`LONGEST_SILENCE`].
pub const WATCH_SECONDS: u32 = 25;

/// How long one request may take.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A client from this kubeconfig or, without one, from the pod's service account. Does not need the API server to be
/// there.
///
/// # Errors
/// When there is no configuration or it cannot be used.
pub async fn client(kubeconfig: Option<&Path>) -> anyhow::Result<Client> {
    let mut config = match kubeconfig {
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(path).context("--kubeconfig")?;
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
                .await
                .context("--kubeconfig")?
        }
        None => {
            Config::incluster().context("no way to the Kubernetes API: not in a pod, and no --kubeconfig")?
        }
    };
    // Retries are this code's own decision: a hidden one could write after leadership was lost.
    config.default_retry = false;
    config.connect_timeout = Some(REQUEST_TIMEOUT);
    config.read_timeout = Some(LONGEST_SILENCE);
    config.write_timeout = Some(LONGEST_SILENCE);
    Client::try_from(config).context("cannot make a Kubernetes client")
}

/// Why a request to the API server has no answer to work with.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The API server refused it, or could not be reached.
    #[error(transparent)]
    Kubernetes(#[from] kube::Error),
    /// No answer in time.
    #[error("the API server gave no answer within {REQUEST_TIMEOUT:?}")]
    Timeout,
}

impl ClusterError {
    /// Whether the object is not there.
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// Whether the object has changed since it was read.
    pub fn is_conflict(&self) -> bool {
        self.code() == Some(409)
    }

    fn code(&self) -> Option<u16> {
        match self {
            ClusterError::Kubernetes(kube::Error::Api(status)) => Some(status.code),
            _ => None,
        }
    }
}

/// Bounds a request in time.
///
/// # Errors
/// The request's own, or [`ClusterError::Timeout`].
pub async fn within_deadline<T>(
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, ClusterError> {
    match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(ClusterError::Timeout),
    }
}

/// A kind that Assay's resources have: namespaced, and known at compile time.
pub trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned
{
}

impl<K> Kind for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned
{
}

/// Writes the status of a resource as it was last seen. The version that was seen goes with the patch: a leader that
/// was deposed without knowing cannot overwrite what its successor wrote.
///
/// # Errors
/// A conflict when the resource has changed since, not found when it is gone, or whatever the API server says.
pub async fn write_status<K: Kind>(
    client: &Client,
    seen: &K,
    status: impl Serialize,
) -> Result<(), ClusterError> {
    let api: Api<K> = Api::namespaced(client.clone(), &seen.namespace().unwrap_or_default());
    let patch = Patch::Merge(json!({
        "metadata": { "resourceVersion": seen.meta().resource_version },
        "status": status,
    }));
    within_deadline(api.patch_status(&seen.name_any(), &PatchParams::default(), &patch)).await?;
    Ok(())
}

/// Deletes exactly this resource, not one that took its name since. One that is gone already is fine.
///
/// # Errors
/// When the API server does not do it.
pub async fn delete_exactly<K: Kind>(
    client: &Client,
    namespace: &str,
    name: &str,
    uid: Option<Uuid>,
) -> Result<(), ClusterError> {
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let only_this = Preconditions { uid: uid.map(|uid| uid.to_string()), resource_version: None };
    let parameters = DeleteParams { preconditions: Some(only_this), ..DeleteParams::background() };
    match within_deadline(api.delete(name, &parameters)).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether the resource is not there, or another one has its name.
///
/// # Errors
/// When the API server does not say.
pub async fn is_gone<K: Kind>(
    client: &Client,
    namespace: &str,
    name: &str,
    uid: Option<Uuid>,
) -> Result<bool, ClusterError> {
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let found = within_deadline(api.get_opt(name)).await?;
    Ok(found.is_none_or(|resource| uid.is_some_and(|uid| !has_uid(&resource, uid))))
}

/// Whether this is the same object and not a namesake.
pub fn has_uid<K: Resource>(resource: &K, uid: Uuid) -> bool {
    resource.meta().uid.as_deref().and_then(|text| text.parse().ok()) == Some(uid)
}

/// Whether the cache has the resource; without a uid any of that name will do.
pub fn is_cached<K: Kind>(cache: &Store<K>, namespace: &str, name: &str, uid: Option<Uuid>) -> bool {
    let cached = cache.get(&ObjectRef::new(name).within(namespace));
    cached.is_some_and(|resource| uid.is_none_or(|uid| has_uid(resource.as_ref(), uid)))
}

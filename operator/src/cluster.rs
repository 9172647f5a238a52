//! The way to the API server.

use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use k8s_openapi::NamespaceResourceScope;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{DeserializeGuard, Status};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, Config, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use uuid::Uuid;

/// The longest silence on a connection. Watches are ended by the server before that, so only a dead peer is so quiet.
const LONGEST_SILENCE: Duration = Duration::from_secs(40);

/// How long one watch lasts before it is begun anew, in seconds; see [`LONGEST_SILENCE`].
pub(crate) const WATCH_SECONDS: u32 = 25;

/// How long one request may take.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

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
pub(crate) enum ClusterError {
    /// The API server refused it, or could not be reached.
    #[error(transparent)]
    Kubernetes(#[from] kube::Error),
    /// No answer in time.
    #[error("the API server gave no answer within {REQUEST_TIMEOUT:?}")]
    Timeout,
}

impl ClusterError {
    /// Whether the object is not there. A bare 404 says no such thing: it may come from a proxy, or from an API server
    /// that does not serve the kind at the moment.
    pub(crate) fn is_not_found(&self) -> bool {
        let names_it =
            |status: &Status| status.details.as_ref().is_some_and(|details| !details.name.is_empty());
        self.status().is_some_and(|status| status.reason == "NotFound" && names_it(status))
    }

    /// Whether the object has changed since it was read.
    pub(crate) fn is_conflict(&self) -> bool {
        self.status().is_some_and(|status| status.reason == "Conflict")
    }

    /// Whether an object of that name is there, so that it was not created.
    pub(crate) fn already_exists(&self) -> bool {
        self.status().is_some_and(|status| status.reason == "AlreadyExists")
    }

    fn status(&self) -> Option<&Status> {
        match self {
            ClusterError::Kubernetes(kube::Error::Api(status)) => Some(status),
            _ => None,
        }
    }
}

/// Bounds a request in time.
///
/// # Errors
/// The request's own, or [`ClusterError::Timeout`].
pub(crate) async fn within_deadline<T>(
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

/// A resource as the API server gave it. The types here are stricter than its schema can be: one that they cannot hold
/// must not keep the others from being seen.
pub(crate) type Seen<K> = DeserializeGuard<K>;

/// Writes the status of a resource as it was last seen. The version that was seen goes with the patch: a leader that
/// was deposed without knowing cannot overwrite what its successor wrote.
///
/// # Errors
/// A conflict when the resource has changed since, not found when it is gone, or whatever the API server says.
pub(crate) async fn write_status<K: Kind>(
    client: &Client,
    seen: &Seen<K>,
    status: impl Serialize,
) -> Result<(), ClusterError> {
    let api: Api<Seen<K>> = Api::namespaced(client.clone(), &seen.namespace().unwrap_or_default());
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
pub(crate) async fn delete_exactly<K: Kind>(
    client: &Client,
    namespace: &str,
    name: &str,
    uid: Option<Uuid>,
) -> Result<(), ClusterError> {
    let api: Api<Seen<K>> = Api::namespaced(client.clone(), namespace);
    let only_this = Preconditions { uid: uid.map(|uid| uid.to_string()), resource_version: None };
    let parameters = DeleteParams { preconditions: Some(only_this), ..DeleteParams::background() };
    match within_deadline(api.delete(name, &parameters)).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether the resource is not there, or another one has its name. The cache may lag, so it is believed only in what it
/// has.
///
/// # Errors
/// When the API server does not say.
pub(crate) async fn is_absent<K: Kind>(
    cache: &Store<Seen<K>>,
    client: &Client,
    namespace: &str,
    name: &str,
    uid: Option<Uuid>,
) -> Result<bool, ClusterError> {
    let cached = cache.get(&ObjectRef::new(name).within(namespace));
    if cached.is_some_and(|resource| uid.is_none_or(|uid| has_uid(resource.as_ref(), uid))) {
        return Ok(false);
    }
    is_gone::<K>(client, namespace, name, uid).await
}

async fn is_gone<K: Kind>(
    client: &Client,
    namespace: &str,
    name: &str,
    uid: Option<Uuid>,
) -> Result<bool, ClusterError> {
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    match within_deadline(api.get_metadata(name)).await {
        Ok(found) => Ok(uid.is_some_and(|uid| !has_uid(&found, uid))),
        Err(error) if error.is_not_found() => Ok(true),
        Err(error) => Err(error),
    }
}

/// Whether this is the same object and not a namesake.
pub(crate) fn has_uid<K: Resource>(resource: &K, uid: Uuid) -> bool {
    resource.meta().uid.as_deref().and_then(|text| text.parse().ok()) == Some(uid)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::coordination::v1::Lease;
    use k8s_openapi::api::coordination::v1alpha2::LeaseCandidate;

    use super::*;

    #[tokio::test]
    async fn a_404_that_is_no_status_deletes_nothing() -> anyhow::Result<()> {
        let client = client(Some(&testkit::kubeconfig().await?)).await?;
        assert!(is_gone::<Lease>(&client, "default", "absent", None).await?);
        delete_exactly::<Lease>(&client, "default", "absent", None).await?;
        // The API server does not serve alphas: it answers 404, as for an absent object, and says nothing more.
        assert!(is_gone::<LeaseCandidate>(&client, "default", "absent", None).await.is_err());
        assert!(delete_exactly::<LeaseCandidate>(&client, "default", "absent", None).await.is_err());
        Ok(())
    }
}

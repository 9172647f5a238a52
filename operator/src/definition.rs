//! What it means that a resource is not there: a person deleted it, or it went with the definition of its kind.
//!
//! A definition that is deleted takes all resources with it, and an API server that was emptied or restored from nothing
//! has none. Nobody meant to cancel a thousand jobs then. The uid of the definition tells: Postgres keeps the one under
//! which the recorded resources were made.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::Api;
use kube::{Client, CustomResourceExt, ResourceExt};
use resources::{ScoringBatch, ScoringJob};
use store::{Definition, ResourceKind, Store, StoreError};
use tracing::error;

use crate::cluster::{ClusterError, within_deadline};

/// Why resources that are not there are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absence {
    /// They were deleted.
    Deleted,
    /// The definition of their kind was made anew. They are forgotten, and what has not ended is mirrored anew.
    Forgotten,
}

/// Why nothing can be said about resources that are not there. Nothing is cancelled meanwhile.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DefinitionError {
    /// The API server does not show it.
    #[error("cannot read the definition {0}, so no absent resource counts as deleted")]
    Unreadable(&'static str, #[source] ClusterError),
    /// It is about to take all resources with it.
    #[error("the definition {0} is being deleted, so no absent resource counts as deleted")]
    BeingDeleted(&'static str),
    /// The API server gave it without a uid.
    #[error("the definition {0} has no uid")]
    Nameless(&'static str),
    /// Postgres does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Says why resources of this kind are not there. They have to be seen to be absent *before* this is asked: a definition
/// that is the same and not being deleted now was so at that moment.
///
/// # Errors
/// When that cannot be told.
pub(crate) async fn absence(
    kind: ResourceKind,
    client: &Client,
    store: &Store,
) -> Result<Absence, DefinitionError> {
    let name = match kind {
        ResourceKind::Job => ScoringJob::crd_name(),
        ResourceKind::Batch => ScoringBatch::crd_name(),
    };
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let found = within_deadline(definitions.get_metadata(name)).await;
    let found = found.map_err(|error| DefinitionError::Unreadable(name, error))?;
    if found.metadata.deletion_timestamp.is_some() {
        return Err(DefinitionError::BeingDeleted(name));
    }
    let uid = found.uid().and_then(|uid| uid.parse().ok()).ok_or(DefinitionError::Nameless(name))?;
    Ok(match store.note_definition(kind, uid).await? {
        Definition::Known => Absence::Deleted,
        Definition::MadeAnew { forgotten } => {
            error!(
                definition = name,
                forgotten,
                "the definition was made anew, or the API server emptied: all resources went with the old one. Nothing \
                 is cancelled; what has not ended gets new resources"
            );
            Absence::Forgotten
        }
    })
}

//! `kubectl annotate` as the way to ask for a redrive. Level-triggered: the annotation stays until it is answered, also
//! while no operator runs, and the answer takes its place.

use kube::api::{Api, Patch, PatchParams};
use kube::runtime::events::EventType;
use kube::{Resource, ResourceExt};
use resources::REDRIVE;
use serde_json::json;
use store::ResourceRef;
use tracing::info;

use crate::cluster::{ClusterError, Kind, Seen, within_deadline};
use crate::context::Context;
use crate::events::publish;

/// What the person who asked is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Whether nothing came of it that a person wants.
    pub(crate) in_vain: bool,
    /// The event's reason, in CamelCase.
    pub(crate) reason: &'static str,
    /// The same in words.
    pub(crate) note: String,
    /// The annotation that takes the place of the wish, if there is anything to remember.
    pub(crate) mark: Option<(&'static str, String)>,
}

/// Whether a redrive is asked for.
pub(crate) fn is_asked<K: Resource>(resource: &K) -> bool {
    resource.annotations().get(REDRIVE).is_some_and(|value| value != "false")
}

/// Tells a resource for which a redrive is asked from the same one for which it is not, as a predicate of a watch: an
/// annotation does not change the generation.
pub(crate) fn asked<K: Resource>(resource: &K) -> Option<u64> {
    is_asked(resource).then_some(1)
}

/// Who redrives, for the audit log: Kubernetes does not say which person it was.
pub(crate) fn by(kind: &str, resource: &ResourceRef) -> String {
    format!("kubectl annotate {kind}/{} in {}", resource.name, resource.namespace)
}

/// Puts the answer in the place of the wish. The version that was seen goes with the patch, as with a status.
///
/// # Errors
/// A conflict when the resource has changed since, or whatever the API server says. The wish is then still there.
pub(crate) async fn answer<K: Kind>(
    resource: &Seen<K>,
    answer: Answer,
    context: &Context,
) -> Result<(), ClusterError> {
    let Answer { in_vain, reason, note, mark } = answer;
    let mut annotations = json!({ REDRIVE: null });
    if let Some((name, value)) = mark {
        annotations[name] = value.into();
    }
    let version = &resource.meta().resource_version;
    let patch =
        Patch::Merge(json!({ "metadata": { "resourceVersion": version, "annotations": annotations } }));
    let namespace = resource.namespace().unwrap_or_default();
    let api: Api<Seen<K>> = Api::namespaced(context.client.clone(), &namespace);
    match within_deadline(api.patch(&resource.name_any(), &PatchParams::default(), &patch)).await {
        Ok(_) => {}
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => return Err(error),
    }
    info!(resource = resource.name_any(), reason, note, "answered a wish to redrive");
    let kind = if in_vain { EventType::Warning } else { EventType::Normal };
    publish(resource, kind, reason, &note, "Redrive", context).await;
    Ok(())
}

//! Events on resources, for what a person is to know or has to act on.

use kube::runtime::events::{Event, EventType};
use kube::{Resource, ResourceExt};
use runtime::in_full;
use tracing::warn;

use crate::cluster::{Kind, Seen, within_deadline};
use crate::context::Context;

/// Publishes an event on the resource. Events are a courtesy: one that is lost is logged, and that is all.
pub(crate) async fn publish<K: Kind>(
    resource: &Seen<K>,
    kind: EventType,
    reason: &str,
    note: &str,
    action: &str,
    context: &Context,
) {
    let event = Event {
        type_: kind,
        reason: reason.to_owned(),
        note: Some(note.to_owned()),
        action: action.to_owned(),
        secondary: None,
    };
    let about = resource.object_ref(&());
    if let Err(error) = within_deadline(context.events.publish(&event, &about)).await {
        warn!(resource = resource.name_any(), reason, error = in_full(&error), "cannot publish an event");
    }
}

//! One ScoringJob: accepted, or bound to its job, and the queue brought in line with its spec.

use std::sync::Arc;
use std::time::Duration;

use domain::{JobStatus, Knobs};
use jiff::Timestamp;
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType};
use kube::{Resource, ResourceExt};
use resources::{Phase, ScoringJob};
use runtime::in_full;
use store::{Applied, JobRow, MutableKnobs, Resolved, ResourceRef, ResourceRequest};
use tracing::{debug, info, warn};

use super::{Rejection, status};
use crate::cluster::{delete_exactly, within_deadline, write_status};
use crate::context::{Context, ReconcileError};
use crate::metrics::QueuedBy;
use crate::queueing::QueueingError;

/// How long a resource waits after an error. Nothing is lost meanwhile: the sweep queues its job from Postgres.
const AFTER_ERROR: Duration = Duration::from_secs(2);

/// Level-triggered: does whatever is missing for the resource as it is now.
pub(super) async fn reconcile(
    resource: Arc<ScoringJob>,
    context: Arc<Context>,
) -> Result<Action, ReconcileError> {
    if was_rejected(&resource) || resource.meta().deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let reference = context.reference(resource.as_ref())?;
    match resolve(&resource, &reference, &context).await? {
        Ok(Resolved::Bound(row)) => follow(*row, &resource, &context).await?,
        Ok(Resolved::Duplicate { job }) => {
            info!(%job, resource = reference.name, "the job is counted in a batch: deleting its own resource");
            let (namespace, name) = (&reference.namespace, &reference.name);
            delete_exactly::<ScoringJob>(&context.client, namespace, name, Some(reference.uid)).await?;
        }
        Ok(Resolved::Existing { id, status }) => {
            reject(&resource, &reference, &Rejection::active_job(id, status), &context).await?;
        }
        Ok(Resolved::Refused(refusal)) => {
            reject(&resource, &reference, &Rejection::refused(refusal), &context).await?;
        }
        Err(rejection) => reject(&resource, &reference, &rejection, &context).await?,
    }
    Ok(Action::await_change())
}

/// After an error the resource is looked at again.
pub(super) fn after_error(resource: Arc<ScoringJob>, error: &ReconcileError, _: Arc<Context>) -> Action {
    debug!(resource = resource.name_any(), error = in_full(&error), "cannot reconcile the ScoringJob yet");
    Action::requeue(AFTER_ERROR)
}

fn was_rejected(resource: &ScoringJob) -> bool {
    resource.status.as_ref().and_then(|status| status.phase) == Some(Phase::Rejected)
}

/// What the resource stands for, or why it cannot stand for anything.
async fn resolve(
    resource: &ScoringJob,
    reference: &ResourceRef,
    context: &Context,
) -> Result<Result<Resolved, Rejection>, ReconcileError> {
    let knobs = match Knobs::try_from(&resource.spec.knobs) {
        Ok(knobs) => knobs,
        Err(unusable) => return Ok(Err(Rejection::unusable(unusable.0))),
    };
    let named_job = context.named_id(reference);
    // The gateway has checked the pool of what it made.
    if named_job.is_none() && !context.pools.contains(&knobs.pool) {
        return Ok(Err(Rejection::unknown_pool(&knobs.pool, &context.pools)));
    }
    let request = ResourceRequest {
        resource: reference.clone(),
        submission_id: resource.spec.submission_id,
        knobs,
        named_job,
    };
    let resolved = context.resolve.submit(request).await.map_err(ReconcileError::Resolve)?;
    Ok(resolved.map_err(|invalid| Rejection::unusable(invalid.message)))
}

/// Brings the row in line with what a person may change, and the queue in line with the row.
async fn follow(row: JobRow, resource: &ScoringJob, context: &Context) -> Result<(), ReconcileError> {
    let row = match wanted(resource).filter(|wanted| *wanted != current(&row) && row.status.is_active()) {
        None => row,
        Some(wanted) => match context.store.apply_knobs(row.id, wanted).await? {
            Applied::Changed(changed) => {
                bring_queue_in_line(&changed, context).await?;
                *changed
            }
            Applied::Unchanged | Applied::NotFound => row,
        },
    };
    match row.to_queue() {
        Some(to_queue) if row.queued_at.is_none() => {
            context.queue.submit(to_queue).await.map_err(ReconcileError::Queue)
        }
        _ => Ok(()),
    }
}

/// A held-back job leaves the queue; one with a new priority changes its place.
pub(crate) async fn bring_queue_in_line(row: &JobRow, context: &Context) -> Result<(), QueueingError> {
    match row.to_queue() {
        Some(to_queue) => context.keeper.queue_and_note(&[to_queue], QueuedBy::RESOURCE).await,
        None if row.status == JobStatus::Queued => {
            context.keeper.queue.withdraw(&row.pool, &[row.id]).await?;
            Ok(())
        }
        None => Ok(()),
    }
}

fn wanted(resource: &ScoringJob) -> Option<MutableKnobs> {
    let knobs = Knobs::try_from(&resource.spec.knobs).ok()?;
    Some(MutableKnobs {
        priority: knobs.priority,
        suspended: knobs.suspended,
        ttl_seconds: knobs.ttl_seconds,
    })
}

fn current(row: &JobRow) -> MutableKnobs {
    MutableKnobs { priority: row.priority, suspended: row.suspended, ttl_seconds: row.ttl_seconds }
}

/// Says once, in the status and as an event, why the request will not become a job.
async fn reject(
    resource: &ScoringJob,
    reference: &ResourceRef,
    rejection: &Rejection,
    context: &Context,
) -> Result<(), ReconcileError> {
    let status = status::of_rejection(rejection, Timestamp::now());
    match write_status(&context.client, resource, status).await {
        Ok(()) => {}
        // Gone, or changed meanwhile: the change brings it here again.
        Err(error) if error.is_not_found() || error.is_conflict() => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    context.metrics.rejected.inc();
    info!(resource = reference.name, reason = rejection.reason, "rejected a ScoringJob");
    publish(resource, EventType::Warning, rejection.reason, &rejection.message, "Reject", context).await;
    Ok(())
}

/// Publishes an event on the resource. Events are a courtesy: one that is lost is logged, and that is all.
pub(super) async fn publish(
    resource: &ScoringJob,
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

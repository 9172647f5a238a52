//! One ScoringJob: accepted, or bound to its job, and the queue brought in line with its spec.

use std::sync::Arc;
use std::time::Duration;

use domain::Knobs;
use jiff::Timestamp;
use kube::runtime::controller::Action;
use kube::runtime::events::EventType;
use kube::{Resource, ResourceExt};
use resources::{Phase, ScoringJob};
use runtime::in_full;
use runtime::trace::{Span, SpanKind, TraceContext};
use store::{Applied, JobRow, MutableKnobs, Resolved, ResourceRef, ResourceRequest};
use tracing::{debug, info};

use super::{redrive, status};
use crate::cluster::{Seen, delete_exactly, write_status};
use crate::context::{Context, ReconcileError, is_made_by_gateway};
use crate::events::publish;
use crate::following::bring_queue_in_line;
use crate::redrive::is_asked;
use crate::rejection::Rejection;
use crate::traces::annotated;

/// How long a resource waits after an error. Nothing is lost meanwhile: the sweep queues its job from Postgres.
const AFTER_ERROR: Duration = Duration::from_secs(2);

/// Level-triggered: does whatever is missing for the resource as it is now.
pub(super) async fn reconcile(
    resource: Arc<Seen<ScoringJob>>,
    context: Arc<Context>,
) -> Result<Action, ReconcileError> {
    if resource.meta().deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let reference = context.reference(resource.as_ref())?;
    match &resource.0 {
        Ok(job) if was_rejected(job) => {
            if is_asked(job) {
                redrive::refuse(&resource, &context).await?;
            }
        }
        Ok(job) => settle(job, &resource, &reference, &context).await?,
        Err(unreadable) if !has_job(&reference, &context).await? => {
            reject(&resource, &reference, &Rejection::unusable(unreadable.error.clone()), &context).await?;
        }
        // Its status was damaged: the next one to be shown mends it.
        Err(_) => {}
    }
    Ok(Action::await_change())
}

async fn settle(
    job: &ScoringJob,
    resource: &Seen<ScoringJob>,
    reference: &ResourceRef,
    context: &Context,
) -> Result<(), ReconcileError> {
    let rejection = match resolve(job, reference, context).await? {
        Ok(Resolved::Bound(row)) => {
            let id = row.id;
            follow(*row, job, context).await?;
            if is_asked(job) {
                redrive::redrive(id, resource, reference, context).await?;
            }
            return Ok(());
        }
        Ok(Resolved::Duplicate { job }) => {
            info!(%job, resource = reference.name, "the job has another resource: deleting this one");
            let (namespace, name) = (&reference.namespace, &reference.name);
            delete_exactly::<ScoringJob>(&context.client, namespace, name, Some(reference.uid)).await?;
            return Ok(());
        }
        Ok(Resolved::Unsettled) => return Err(ReconcileError::Unsettled),
        Ok(Resolved::Existing { id, status }) => Rejection::active_job(id, status),
        Ok(Resolved::Refused(refusal)) => Rejection::refused(refusal),
        Ok(Resolved::Unacceptable) => Rejection::unknown_pool(&job.spec.knobs.pool, &context.pools),
        Err(rejection) => rejection,
    };
    reject(resource, reference, &rejection, context).await
}

/// Whether a job is on record that the resource may be that of.
async fn has_job(reference: &ResourceRef, context: &Context) -> Result<bool, ReconcileError> {
    for id in context.named_id(reference).into_iter().chain([reference.uid]) {
        if context.store.job(id).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// After an error the resource is looked at again.
pub(super) fn after_error(
    resource: Arc<Seen<ScoringJob>>,
    error: &ReconcileError,
    _: Arc<Context>,
) -> Action {
    let trace_id = annotated(resource.as_ref()).map(|context| tracing::field::display(context.trace_id()));
    debug!(
        resource = resource.name_any(),
        trace_id,
        error = in_full(&error),
        "cannot reconcile the ScoringJob yet"
    );
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
    let given = annotated(resource);
    // Only one that was made with kubectl begins something here.
    let by_person = !is_made_by_gateway(resource);
    let span = if by_person { Span::begin("accept", SpanKind::Consumer, given) } else { Span::default() };
    let context_of_job = span.context().or(given).unwrap_or_else(TraceContext::unsampled);
    let request = ResourceRequest {
        resource: reference.clone(),
        submission_id: resource.spec.submission_id,
        acceptable: context.pools.contains(&knobs.pool),
        knobs,
        named_job: context.named_id(reference),
        made_by_gateway: !by_person,
        traceparent: Some(context_of_job.to_string()),
    };
    let resolved = context.resolve.submit(request).await.map_err(ReconcileError::Resolve)?;
    Ok(resolved.map_err(|invalid| Rejection::unusable(invalid.message)))
}

/// Brings the row in line with what a person may change, and the queue in line with the row. How long the resource stays
/// may also be changed after the job has ended.
async fn follow(row: JobRow, resource: &ScoringJob, context: &Context) -> Result<(), ReconcileError> {
    let wanted = Knobs::try_from(&resource.spec.knobs).ok().as_ref().map(MutableKnobs::from);
    let row = match wanted.filter(|wanted| *wanted != MutableKnobs::from(&row)) {
        None => row,
        Some(wanted) => match context.store.apply_knobs(row.id, wanted).await? {
            Applied::Changed(changed) => {
                bring_queue_in_line(std::slice::from_ref(&*changed), &context.keeper).await?;
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

/// Says once, in the status and as an event, why the request will not become a job.
async fn reject(
    resource: &Seen<ScoringJob>,
    reference: &ResourceRef,
    rejection: &Rejection,
    context: &Context,
) -> Result<(), ReconcileError> {
    let status = status::of_rejection(rejection, Timestamp::now());
    match write_status(&context.client, resource, status).await {
        Ok(()) => {}
        Err(error) if error.is_not_found() => return Ok(()),
        // When it has changed meanwhile it is tried again: not every change brings it here by itself.
        Err(error) => return Err(error.into()),
    }
    context.metrics.rejected.inc();
    let trace_id = annotated(resource).map(|context| tracing::field::display(context.trace_id()));
    info!(resource = reference.name, reason = rejection.reason, trace_id, "rejected a ScoringJob");
    publish(resource, EventType::Warning, rejection.reason, &rejection.message, "Reject", context).await;
    Ok(())
}

//! One ScoringBatch: accepted, or bound to its batch, and the queue brought in line with its spec.

use std::sync::Arc;
use std::time::Duration;

use domain::{BatchId, Knobs};
use jiff::Timestamp;
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};
use resources::ScoringBatch;
use runtime::in_full;
use runtime::trace::{Span, SpanKind, TraceContext};
use store::{BatchBinding, BatchOrigin, MutableKnobs, NewBatch, ResourceRef, StoreError};
use tracing::{debug, info};

use super::{redrive, status};
use crate::cluster::{Seen, delete_exactly, write_status};
use crate::context::{Context, ReconcileError, is_made_by_gateway};
use crate::following::bring_queue_in_line;
use crate::metrics::QueuedBy;
use crate::redrive::is_asked;
use crate::rejection::Rejection;
use crate::traces::annotated;

const AFTER_ERROR: Duration = Duration::from_secs(2);

/// The members queued with one script call.
const PAGE: u32 = 1000;

/// What a resource turns out to be.
enum Meaning {
    /// It is that of this batch.
    Of(BatchId),
    /// The batch it is named after has or had another resource that the gateway made: this one is to be deleted, and
    /// nothing cancelled.
    Duplicate,
    /// It cannot be that of any.
    Rejected(Rejection),
}

/// Level-triggered: does whatever is missing for the resource as it is now.
pub(super) async fn reconcile(
    resource: Arc<Seen<ScoringBatch>>,
    context: Arc<Context>,
) -> Result<Action, ReconcileError> {
    if resource.meta().deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let reference = context.reference(resource.as_ref())?;
    match &resource.0 {
        Ok(batch) if batch.status.as_ref().is_some_and(status::is_rejection) => {
            if is_asked(batch) {
                redrive::refuse(&resource, &context).await?;
            }
        }
        Ok(batch) => settle(batch, &resource, &reference, &context).await?,
        Err(unreadable) if bound_to(&reference, &context).await?.is_none() => {
            reject(&resource, &reference, &Rejection::unusable(unreadable.error.clone()), &context).await?;
        }
        // Its status was damaged: the next one to be shown mends it.
        Err(_) => {}
    }
    Ok(Action::await_change())
}

async fn settle(
    batch: &ScoringBatch,
    resource: &Seen<ScoringBatch>,
    reference: &ResourceRef,
    context: &Context,
) -> Result<(), ReconcileError> {
    match bind_or_accept(batch, reference, context).await? {
        Meaning::Of(id) => {
            follow(id, batch, context).await?;
            if is_asked(batch) {
                redrive::redrive(id, resource, reference, context).await?;
            }
            Ok(())
        }
        Meaning::Duplicate => {
            info!(resource = reference.name, "the batch has another resource: deleting this one");
            let (namespace, name) = (&reference.namespace, &reference.name);
            delete_exactly::<ScoringBatch>(&context.client, namespace, name, Some(reference.uid)).await?;
            Ok(())
        }
        Meaning::Rejected(rejection) => reject(resource, reference, &rejection, context).await,
    }
}

/// After an error the resource is looked at again.
pub(super) fn after_error(
    resource: Arc<Seen<ScoringBatch>>,
    error: &ReconcileError,
    _: Arc<Context>,
) -> Action {
    debug!(resource = resource.name_any(), error = in_full(&error), "cannot reconcile the ScoringBatch yet");
    Action::requeue(AFTER_ERROR)
}

/// The batch on record that the resource is that of.
async fn bound_to(reference: &ResourceRef, context: &Context) -> Result<Option<BatchId>, ReconcileError> {
    for id in context.named_id(reference).into_iter().chain([reference.uid]) {
        if let BatchBinding::Bound(_) = context.store.bind_batch(id, reference).await? {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

async fn bind_or_accept(
    batch: &ScoringBatch,
    reference: &ResourceRef,
    context: &Context,
) -> Result<Meaning, ReconcileError> {
    if let Some(id) = bound_to(reference, context).await? {
        return Ok(Meaning::Of(id));
    }
    // A creation that was given up and took effect late.
    if let Some(id) = context.named_id(reference).filter(|_| is_made_by_gateway(batch))
        && context.store.bind_batch(id, reference).await? == BatchBinding::OtherResource
    {
        return Ok(Meaning::Duplicate);
    }
    let knobs = match Knobs::try_from(&batch.spec.knobs) {
        Ok(knobs) => knobs,
        Err(unusable) => return Ok(Meaning::Rejected(Rejection::unusable(unusable.0))),
    };
    if !context.pools.contains(&knobs.pool) {
        let rejection = Rejection::unknown_pool(knobs.pool.as_str(), &context.pools);
        return Ok(Meaning::Rejected(rejection));
    }
    let given = annotated(batch);
    let span = Span::begin("accept", SpanKind::Consumer, given);
    let context_of_jobs = span.context().or(given).unwrap_or_else(TraceContext::unsampled);
    let request = NewBatch {
        id: reference.uid,
        tenant: None,
        owner: None,
        submission_ids: batch.spec.submission_ids.clone(),
        knobs,
        origin: BatchOrigin::Kubectl,
        traceparent: Some(context_of_jobs.to_string()),
        resource: Some(reference.clone()),
    };
    match context.store.accept_batch(&request).await {
        Ok(_) => Ok(Meaning::Of(reference.uid)),
        Err(error @ StoreError::Invalid { .. }) => {
            Ok(Meaning::Rejected(Rejection::unusable(error.to_string())))
        }
        Err(error) => Err(error.into()),
    }
}

/// Brings the members in line with what a person may change, and queues those that are not queued.
async fn follow(batch: BatchId, resource: &ScoringBatch, context: &Context) -> Result<(), ReconcileError> {
    if let Ok(knobs) = Knobs::try_from(&resource.spec.knobs) {
        let changed = context.store.apply_batch_knobs(batch, MutableKnobs::from(&knobs)).await?;
        bring_queue_in_line(&changed, &context.keeper).await?;
    }
    loop {
        let members = context.store.unqueued_of_batch(batch, PAGE).await?;
        context.keeper.queue_and_note(&members, QueuedBy::RESOURCE).await?;
        if members.len() < PAGE as usize {
            return Ok(());
        }
    }
}

/// Says once, in the status, why the request will not become a batch.
async fn reject(
    resource: &Seen<ScoringBatch>,
    reference: &ResourceRef,
    rejection: &Rejection,
    context: &Context,
) -> Result<(), ReconcileError> {
    let status = status::of_rejection(rejection, Timestamp::now());
    match write_status(&context.client, resource, status).await {
        Ok(()) => {
            context.metrics.rejected.inc();
            info!(resource = reference.name, reason = rejection.reason, "rejected a ScoringBatch");
            Ok(())
        }
        Err(error) if error.is_not_found() => Ok(()),
        // When it has changed meanwhile it is tried again: not every change brings it here by itself.
        Err(error) => Err(error.into()),
    }
}

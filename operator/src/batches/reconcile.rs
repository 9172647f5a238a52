//! One ScoringBatch: accepted, or bound to its batch, and the queue brought in line with its spec.

use std::sync::Arc;
use std::time::Duration;

use domain::Knobs;
use jiff::Timestamp;
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};
use resources::ScoringBatch;
use runtime::in_full;
use store::{BatchBinding, BatchOrigin, MutableKnobs, NewBatch, ResourceRef};
use tracing::{debug, info};

use super::status;
use crate::cluster::write_status;
use crate::context::{Context, ReconcileError};
use crate::jobs::{Rejection, bring_queue_in_line};
use crate::metrics::QueuedBy;

const AFTER_ERROR: Duration = Duration::from_secs(2);

/// The members queued with one script call.
const PAGE: u32 = 1000;

/// Level-triggered: does whatever is missing for the resource as it is now.
pub(super) async fn reconcile(
    resource: Arc<ScoringBatch>,
    context: Arc<Context>,
) -> Result<Action, ReconcileError> {
    let rejected = resource.status.as_ref().is_some_and(status::is_rejection);
    if rejected || resource.meta().deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let reference = context.reference(resource.as_ref())?;
    match bind_or_accept(&resource, &reference, &context).await? {
        Ok(batch) => follow(batch, &resource, &context).await?,
        Err(rejection) => reject(&resource, &reference, &rejection, &context).await?,
    }
    Ok(Action::await_change())
}

/// After an error the resource is looked at again.
pub(super) fn after_error(resource: Arc<ScoringBatch>, error: &ReconcileError, _: Arc<Context>) -> Action {
    debug!(resource = resource.name_any(), error = in_full(&error), "cannot reconcile the ScoringBatch yet");
    Action::requeue(AFTER_ERROR)
}

/// The batch that the resource stands for, or why it cannot stand for any.
async fn bind_or_accept(
    resource: &ScoringBatch,
    reference: &ResourceRef,
    context: &Context,
) -> Result<Result<domain::BatchId, Rejection>, ReconcileError> {
    if let Some(batch) = context.named_id(reference)
        && let BatchBinding::Bound(_) = context.store.bind_batch(batch, reference).await?
    {
        return Ok(Ok(batch));
    }
    let knobs = match Knobs::try_from(&resource.spec.knobs) {
        Ok(knobs) => knobs,
        Err(unusable) => return Ok(Err(Rejection::unusable(unusable.0))),
    };
    if !context.pools.contains(&knobs.pool) {
        return Ok(Err(Rejection::unknown_pool(&knobs.pool, &context.pools)));
    }
    let request = NewBatch {
        id: reference.uid,
        tenant: None,
        submission_ids: resource.spec.submission_ids.clone(),
        knobs,
        origin: BatchOrigin::Kubectl,
        traceparent: None,
        resource: Some(reference.clone()),
    };
    match context.store.accept_batch(&request).await {
        Ok(_) => Ok(Ok(reference.uid)),
        Err(error @ store::StoreError::Invalid { .. }) => Ok(Err(Rejection::unusable(error.to_string()))),
        Err(error) => Err(error.into()),
    }
}

/// Brings the members in line with what a person may change, and queues those that are not queued.
async fn follow(
    batch: domain::BatchId,
    resource: &ScoringBatch,
    context: &Context,
) -> Result<(), ReconcileError> {
    if let Ok(knobs) = Knobs::try_from(&resource.spec.knobs) {
        let wanted = MutableKnobs {
            priority: knobs.priority,
            suspended: knobs.suspended,
            ttl_seconds: knobs.ttl_seconds,
        };
        for changed in context.store.apply_batch_knobs(batch, wanted).await? {
            bring_queue_in_line(&changed, context).await?;
        }
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
    resource: &ScoringBatch,
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
        // Gone, or changed meanwhile: the change brings it here again.
        Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

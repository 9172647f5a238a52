//! Once a second: shows the counts of batches that changed, deletes expired resources, and cancels the members of
//! deleted ones. There are few batches, so all of them are compared each time, and nothing depends on having seen a
//! deletion.

use std::sync::Arc;
use std::time::Duration;

use domain::BatchId;
use kube::runtime::reflector::{ObjectRef, Store};
use resources::ScoringBatch;
use runtime::{Outage, in_full};
use store::{ChangedBatch, ShownBatch};
use tracing::{debug, info};

use super::status;
use crate::cancelled::{BY_DELETION, WHY_DELETED, take_off_queue};
use crate::cluster::{delete_exactly, has_uid, is_cached, is_gone, write_status};
use crate::context::{Context, ReconcileError};

/// No batch's status is written more often than this.
const EVERY: Duration = Duration::from_secs(1);

const PAGE: u32 = 500;

/// Keeps up for as long as this replica leads.
pub(super) async fn keep_up(context: Arc<Context>, resources: Store<ScoringBatch>) {
    if resources.wait_until_ready().await.is_err() {
        return;
    }
    let outage = Outage::of("keeping ScoringBatches up to date");
    loop {
        outage.note(&round(&context, &resources).await);
        tokio::time::sleep(EVERY).await;
    }
}

async fn round(context: &Context, resources: &Store<ScoringBatch>) -> Result<(), ReconcileError> {
    let mut shown = Vec::new();
    for changed in context.store.batches_changed(PAGE).await? {
        if show(&changed, context, resources).await {
            shown.push(ShownBatch {
                batch: changed.batch.id,
                digest: changed.digest,
                completed_at: changed.counts.completed_at,
            });
        }
    }
    if !shown.is_empty() {
        context.store.mark_batch_status_mirrored(&shown).await?;
    }
    delete_expired(context).await?;
    cancel_deleted(context, resources).await
}

/// Shows one batch. False when that has to be tried again.
async fn show(changed: &ChangedBatch, context: &Context, resources: &Store<ScoringBatch>) -> bool {
    let (namespace, name) = (&changed.resource.namespace, &changed.resource.name);
    let Some(resource) = resources.get(&ObjectRef::new(name).within(namespace)) else {
        return false;
    };
    if !has_uid(resource.as_ref(), changed.resource.uid) {
        return false;
    }
    let status = status::of_batch(&changed.batch, &changed.counts);
    match write_status(&context.client, resource.as_ref(), status).await {
        Ok(()) => {
            context.metrics.statuses.inc();
            true
        }
        Err(error) => {
            debug!(batch = %changed.batch.id, error = in_full(&error), "cannot write a status yet");
            false
        }
    }
}

async fn delete_expired(context: &Context) -> Result<(), ReconcileError> {
    let mut gone = Vec::new();
    for expired in context.store.batches_expired(PAGE).await? {
        let (namespace, name) = (&expired.namespace, &expired.name);
        delete_exactly::<ScoringBatch>(&context.client, namespace, name, expired.uid).await?;
        gone.push(expired.batch);
    }
    if gone.is_empty() { Ok(()) } else { Ok(context.store.batch_resource_gone(&gone).await?) }
}

async fn cancel_deleted(context: &Context, resources: &Store<ScoringBatch>) -> Result<(), ReconcileError> {
    let mut after = None;
    loop {
        let page = context.store.live_batches_page(after, PAGE).await?;
        for batch in &page {
            let (namespace, name, uid) = (&batch.namespace, &batch.name, batch.uid);
            // The cache may lag.
            if !is_cached(resources, namespace, name, uid)
                && is_gone::<ScoringBatch>(&context.client, namespace, name, uid).await?
            {
                cancel_members(batch.batch, context).await?;
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE as usize => after = Some(last.batch),
            _ => return Ok(()),
        }
    }
}

/// The batch is let go of last: whatever is interrupted is found by the next round.
async fn cancel_members(batch: BatchId, context: &Context) -> Result<(), ReconcileError> {
    let cancelled = context.store.cancel_batch(batch, BY_DELETION, WHY_DELETED).await?;
    info!(%batch, jobs = cancelled.len(), "the ScoringBatch was deleted");
    take_off_queue(&cancelled, &context.keeper.queue).await;
    Ok(context.store.batch_resource_gone(&[batch]).await?)
}

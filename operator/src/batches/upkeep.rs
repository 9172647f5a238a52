//! Once a second: shows the counts of batches that changed, deletes expired resources, and cancels the members of
//! deleted ones. There are few batches, so all of them are looked for each time, and nothing depends on having seen a
//! deletion. Their members may be many: those of so many batches are counted at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::BatchId;
use futures::{StreamExt, stream};
use kube::runtime::reflector::{ObjectRef, Store};
use resources::ScoringBatch;
use runtime::{Outage, in_full};
use store::{ChangedBatch, LiveBatch, ResourceKind, ShownBatch, StoreError};
use tokio::sync::Notify;
use tracing::{debug, info};

use super::status;
use crate::cluster::{ClusterError, Seen, delete_exactly, has_uid, is_absent, write_status};
use crate::context::{Context, ReconcileError};
use crate::definition::{Absence, absence};
use crate::deletion::{BY_DELETION, WHY_DELETED, gone_of, take_off_queue};

/// No batch's status is written more often than this.
const EVERY: Duration = Duration::from_secs(1);

/// How often the definition of the kind is looked at though no resource is missing.
const LOOK_AT_DEFINITION_EVERY: Duration = Duration::from_secs(60);

const PAGE: u32 = 500;

/// The members of so many batches are counted at once, a hundred thousand at most, which takes Postgres some 50 ms. Where more
/// batches are unfinished, each has its turn every few seconds.
const COUNTED_AT_ONCE: u32 = 100;

const CONCURRENT_REQUESTS: usize = 32;

/// Keeps up for as long as this replica leads. Each thing is done whatever becomes of the others.
pub(super) async fn keep_up(
    context: Arc<Context>,
    resources: Store<Seen<ScoringBatch>>,
    forgotten: Arc<Notify>,
) {
    if resources.wait_until_ready().await.is_err() {
        return;
    }
    let showing = Outage::of("showing the counts of ScoringBatches");
    let expiring = Outage::of("deleting expired ScoringBatches");
    let cancelling = Outage::of("cancelling the members of deleted ScoringBatches");
    let mut looked = None;
    let mut shown_up_to = None;
    loop {
        showing.note(&show_changed(&context, &resources, &mut shown_up_to).await);
        expiring.note(&delete_expired(&context).await);
        let look = looked.is_none_or(|looked: Instant| looked.elapsed() >= LOOK_AT_DEFINITION_EVERY);
        let compared = cancel_deleted(&context, &resources, look).await;
        cancelling.note(&compared);
        if look && compared.is_ok() {
            looked = Some(Instant::now());
        }
        if let Ok(Absence::Forgotten) = compared {
            forgotten.notify_one();
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Of the batches after the one given, which is then the last of those that were counted; after the last of all, nothing.
async fn show_changed(
    context: &Context,
    resources: &Store<Seen<ScoringBatch>>,
    after: &mut Option<BatchId>,
) -> Result<(), StoreError> {
    let counted = context.store.unfinished_batches_page(*after, COUNTED_AT_ONCE).await?;
    *after = counted.last().copied().filter(|_| counted.len() == COUNTED_AT_ONCE as usize);
    let mut shown = Vec::new();
    for changed in context.store.batches_changed(&counted).await? {
        if show(&changed, context, resources).await {
            shown.push(changed.shown());
        }
    }
    note(&shown, context).await
}

/// Notes what is shown. One that Postgres refuses must not keep the others from being noted.
async fn note(shown: &[ShownBatch], context: &Context) -> Result<(), StoreError> {
    if shown.is_empty() {
        return Ok(());
    }
    match context.store.mark_batch_status_mirrored(shown).await {
        Err(StoreError::Invalid { .. }) if shown.len() > 1 => {
            let mut noted = Ok(());
            for one in shown {
                noted = noted.and(context.store.mark_batch_status_mirrored(std::slice::from_ref(one)).await);
            }
            noted
        }
        noted => noted,
    }
}

/// Shows one batch. False when that has to be tried again.
async fn show(changed: &ChangedBatch, context: &Context, resources: &Store<Seen<ScoringBatch>>) -> bool {
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

/// One that cannot be deleted holds up no others.
async fn delete_expired(context: &Context) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let expired = context.store.batches_expired(after, PAGE).await?;
        after = expired.last().filter(|_| expired.len() == PAGE as usize).map(|batch| batch.batch);
        let gone: Vec<BatchId> = stream::iter(expired)
            .map(|expired| delete_one(expired, context))
            .buffer_unordered(CONCURRENT_REQUESTS)
            .filter_map(|batch| async move { batch })
            .collect()
            .await;
        if !gone.is_empty() {
            context.store.batch_resource_gone(&gone).await?;
        }
        if after.is_none() {
            return Ok(());
        }
    }
}

async fn delete_one(expired: LiveBatch, context: &Context) -> Option<BatchId> {
    let (namespace, name) = (&expired.namespace, &expired.name);
    match delete_exactly::<ScoringBatch>(&context.client, namespace, name, expired.uid).await {
        Ok(()) => Some(expired.batch),
        Err(error) => {
            debug!(batch = %expired.batch, error = in_full(&error), "cannot delete an expired ScoringBatch yet");
            None
        }
    }
}

/// Those on record may also have been made under another definition, which is to be known before the first of them is
/// missed.
async fn cancel_deleted(
    context: &Context,
    resources: &Store<Seen<ScoringBatch>>,
    look_at_definition: bool,
) -> Result<Absence, ReconcileError> {
    let ask = || absence(ResourceKind::Batch, &context.client, &context.store);
    if look_at_definition && ask().await? == Absence::Forgotten {
        return Ok(Absence::Forgotten);
    }
    let (mut after, mut all_known) = (None, Ok(()));
    loop {
        let page = context.store.live_batches_page(after, PAGE).await?;
        after = page.last().filter(|_| page.len() == PAGE as usize).map(|batch| batch.batch);
        let (gone, known) = absent(page, context, resources).await;
        all_known = all_known.and(known);
        if !gone.is_empty() && ask().await? == Absence::Forgotten {
            return Ok(Absence::Forgotten);
        }
        for batch in gone {
            cancel_members(batch, context).await?;
        }
        if after.is_none() {
            all_known?;
            return Ok(Absence::Deleted);
        }
    }
}

/// Those of these batches whose resource is not there, and whether that is known of all: the first error if not.
async fn absent(
    batches: Vec<LiveBatch>,
    context: &Context,
    resources: &Store<Seen<ScoringBatch>>,
) -> (Vec<BatchId>, Result<(), ClusterError>) {
    let looks =
        batches.into_iter().filter(|batch| context.watches(&batch.namespace)).map(|batch| async move {
            let LiveBatch { namespace, name, uid, .. } = &batch;
            let absent = is_absent(resources, &context.client, namespace, name, *uid).await?;
            Ok(absent.then_some(batch.batch))
        });
    gone_of(stream::iter(looks).buffer_unordered(CONCURRENT_REQUESTS)).await
}

/// The batch is let go of last: whatever is interrupted is found by the next round.
async fn cancel_members(batch: BatchId, context: &Context) -> Result<(), StoreError> {
    let cancelled = context.store.cancel_batch(batch, BY_DELETION, WHY_DELETED).await?;
    info!(%batch, jobs = cancelled.len(), "the ScoringBatch was deleted");
    take_off_queue(&cancelled, &context.keeper.queue).await;
    context.store.batch_resource_gone(&[batch]).await
}

//! Deleting a ScoringJob cancels its job, also when nobody was watching at that moment.

use std::sync::Arc;
use std::time::Duration;

use domain::JobId;
use futures::{StreamExt, stream};
use kube::runtime::reflector::Store;
use resources::ScoringJob;
use runtime::Outage;
use store::{CancelRequest, LiveResource, ResourceKind};
use tokio::sync::{Notify, mpsc};
use tracing::info;
use uuid::Uuid;

use super::watch::Deleted;
use crate::cluster::{ClusterError, Seen, is_absent};
use crate::context::{Context, ReconcileError};
use crate::definition::{Absence, absence};
use crate::deletion::{BY_DELETION, WHY_DELETED, gone_of, take_off_queue};

/// The deletions handled together.
const LARGEST_BATCH: usize = 500;

const PAGE: u32 = 1000;

/// How many resources are asked for at once that are not in the cache.
const CONCURRENT_LOOKS: usize = 32;

/// How often all resources are compared with the rows, whatever the watch said.
const COMPARE_EVERY: Duration = Duration::from_secs(60);

const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Cancels what belongs to deleted resources, for as long as this replica leads.
pub(super) async fn cancel_deleted(
    context: Arc<Context>,
    resources: Store<Seen<ScoringJob>>,
    mut deleted: mpsc::UnboundedReceiver<Deleted>,
    listed: Arc<Notify>,
    forgotten: Arc<Notify>,
) {
    // Until all are listed, one that is not in the cache means nothing.
    if resources.wait_until_ready().await.is_err() {
        return;
    }
    let outage = Outage::of("cancelling the jobs of deleted ScoringJobs");
    let mut pending: Vec<Deleted> = Vec::new();
    let mut compare = false;
    loop {
        if pending.is_empty() {
            // A comparison that fails again and again does not keep others from being cancelled.
            let patience = if compare { Duration::ZERO } else { COMPARE_EVERY };
            tokio::select! {
                biased;
                received = deleted.recv_many(&mut pending, LARGEST_BATCH) => if received == 0 { return },
                () = listed.notified() => compare = true,
                () = tokio::time::sleep(patience) => compare = true,
            }
        }
        let handled = handle(&context, &resources, &mut pending, &mut compare).await;
        outage.note(&handled);
        match handled {
            Ok(Absence::Deleted) => {}
            Ok(Absence::Forgotten) => forgotten.notify_one(),
            Err(_) => tokio::time::sleep(RETRY_AFTER).await,
        }
    }
}

async fn handle(
    context: &Context,
    resources: &Store<Seen<ScoringJob>>,
    pending: &mut Vec<Deleted>,
    compare: &mut bool,
) -> Result<Absence, ReconcileError> {
    if !pending.is_empty() {
        let (reported, known) = reported(pending, context, resources).await?;
        let absence = let_go(&reported, context).await?;
        pending.clear();
        if absence == Absence::Forgotten {
            return Ok(absence);
        }
        // What the API server does not say of one is asked again by the comparison.
        *compare |= known.is_err();
        known?;
    }
    if *compare {
        let compared = compare_all(context, resources).await?;
        *compare = false;
        return Ok(compared);
    }
    Ok(Absence::Deleted)
}

/// Resources that are not there.
#[derive(Default)]
struct Absent {
    /// The uids of those that had been seen.
    seen: Vec<Uuid>,
    /// The jobs of those that had not.
    unseen: Vec<JobId>,
}

impl Absent {
    fn of(rows: &[LiveResource]) -> Absent {
        Absent {
            seen: rows.iter().filter_map(|row| row.uid).collect(),
            unseen: rows.iter().filter(|row| row.uid.is_none()).map(|row| row.job).collect(),
        }
    }
}

/// What the watch told of, and whether it is known of all. One that was deleted before its uid was noted is found by its
/// name.
async fn reported(
    deleted: &[Deleted],
    context: &Context,
    resources: &Store<Seen<ScoringJob>>,
) -> Result<(Absent, Result<(), ClusterError>), ReconcileError> {
    let named: Vec<JobId> = deleted.iter().filter_map(|deleted| deleted.named_job).collect();
    let (unseen, known) = match named.as_slice() {
        [] => (Vec::new(), Ok(())),
        named => absent(context.store.unseen_resources(named).await?, context, resources).await,
    };
    let seen = deleted.iter().map(|deleted| deleted.uid).collect();
    Ok((Absent { seen, ..Absent::of(&unseen) }, known))
}

/// Cancels what has not ended of these resources' jobs, unless they went with the definition of their kind. Rows are let
/// go of last: whatever is interrupted is found by the next comparison.
async fn let_go(gone: &Absent, context: &Context) -> Result<Absence, ReconcileError> {
    let store = &context.store;
    let active = store.active_of_resources(&gone.seen).await?;
    if active.is_empty() && gone.unseen.is_empty() {
        store.resource_gone(&gone.seen).await?;
        return Ok(Absence::Deleted);
    }
    let absence = absence(ResourceKind::Job, &context.client, store).await?;
    if absence == Absence::Deleted {
        let cancelled = store.cancel_by_resource_uid(&gone.seen, BY_DELETION, WHY_DELETED).await?;
        take_off_queue(&cancelled, &context.keeper.queue).await;
        store.resource_gone(&gone.seen).await?;
        cancel_unseen(&gone.unseen, context).await?;
    }
    Ok(absence)
}

/// Finds resources that were deleted unseen. Those on record may also have been made under another definition, which is
/// to be known before the first of them is missed.
async fn compare_all(
    context: &Context,
    resources: &Store<Seen<ScoringJob>>,
) -> Result<Absence, ReconcileError> {
    if absence(ResourceKind::Job, &context.client, &context.store).await? == Absence::Forgotten {
        return Ok(Absence::Forgotten);
    }
    let (mut after, mut all_known) = (None, Ok(()));
    loop {
        let page = context.store.live_resources_page(after, PAGE).await?;
        after = page.last().filter(|_| page.len() == PAGE as usize).map(|row| row.job);
        let (gone, known) = absent(page, context, resources).await;
        all_known = all_known.and(known);
        if !gone.is_empty() {
            if let_go(&Absent::of(&gone), context).await? == Absence::Forgotten {
                return Ok(Absence::Forgotten);
            }
            info!(jobs = gone.len(), "found ScoringJobs that were deleted unseen");
        }
        if after.is_none() {
            all_known?;
            return Ok(Absence::Deleted);
        }
    }
}

/// Those of these resources that are not there, and whether that is known of all: the first error if not.
async fn absent(
    rows: Vec<LiveResource>,
    context: &Context,
    resources: &Store<Seen<ScoringJob>>,
) -> (Vec<LiveResource>, Result<(), ClusterError>) {
    let looks = rows.into_iter().filter(|row| context.watches(&row.namespace)).map(|row| async move {
        let absent = is_absent(resources, &context.client, &row.namespace, &row.name, row.uid).await?;
        Ok(absent.then_some(row))
    });
    gone_of(stream::iter(looks).buffer_unordered(CONCURRENT_LOOKS)).await
}

async fn cancel_unseen(jobs: &[JobId], context: &Context) -> Result<(), ReconcileError> {
    if jobs.is_empty() {
        return Ok(());
    }
    let requests: Vec<CancelRequest> = jobs
        .iter()
        .map(|job| CancelRequest { job: *job, by: BY_DELETION.to_owned(), reason: WHY_DELETED.to_owned() })
        .collect();
    // What this leaves on the queue is dropped when it is claimed.
    context.store.cancel(&requests).await?;
    Ok(context.store.unseen_resource_gone(jobs).await?)
}

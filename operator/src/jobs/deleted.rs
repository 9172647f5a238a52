//! Deleting a ScoringJob cancels its job, also when nobody was watching at that moment.

use std::sync::Arc;
use std::time::Duration;

use domain::JobId;
use kube::runtime::reflector::Store;
use resources::ScoringJob;
use runtime::Outage;
use store::CancelRequest;
use tokio::sync::{Notify, mpsc};
use tracing::info;
use uuid::Uuid;

use super::watch::Deleted;
use crate::cancelled::{BY_DELETION, WHY_DELETED, take_off_queue};
use crate::cluster::{is_cached, is_gone};
use crate::context::{Context, ReconcileError};

/// The deletions handled together.
const LARGEST_BATCH: usize = 500;

const PAGE: u32 = 1000;

/// How often all resources are compared with the rows, whatever the watch said.
const COMPARE_EVERY: Duration = Duration::from_secs(60);

const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Cancels what belongs to deleted resources, for as long as this replica leads.
pub(super) async fn cancel_deleted(
    context: Arc<Context>,
    resources: Store<ScoringJob>,
    mut deleted: mpsc::UnboundedReceiver<Deleted>,
    listed: Arc<Notify>,
) {
    let outage = Outage::of("cancelling the jobs of deleted ScoringJobs");
    let mut pending: Vec<Deleted> = Vec::new();
    let mut compare = false;
    loop {
        if pending.is_empty() && !compare {
            tokio::select! {
                received = deleted.recv_many(&mut pending, LARGEST_BATCH) => if received == 0 { return },
                () = listed.notified() => compare = true,
                () = tokio::time::sleep(COMPARE_EVERY) => compare = true,
            }
        }
        let handled = handle(&context, &resources, &mut pending, &mut compare).await;
        outage.note(&handled);
        if handled.is_err() {
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }
}

async fn handle(
    context: &Context,
    resources: &Store<ScoringJob>,
    pending: &mut Vec<Deleted>,
    compare: &mut bool,
) -> Result<(), ReconcileError> {
    let uids: Vec<Uuid> = pending.iter().map(|deleted| deleted.uid).collect();
    cancel_jobs_of(&uids, context).await?;
    // One that was deleted before its uid was noted is found by its name.
    for deleted in pending.drain(..) {
        *compare |= deleted
            .named_job
            .is_some_and(|job| !is_cached(resources, &context.gateway_namespace, &job.to_string(), None));
    }
    if *compare {
        compare_all(context, resources).await?;
        *compare = false;
    }
    Ok(())
}

/// Rows are let go of last: whatever is interrupted is found by the next comparison.
async fn cancel_jobs_of(uids: &[Uuid], context: &Context) -> Result<(), ReconcileError> {
    if uids.is_empty() {
        return Ok(());
    }
    let cancelled = context.store.cancel_by_resource_uid(uids, BY_DELETION, WHY_DELETED).await?;
    take_off_queue(&cancelled, &context.keeper.queue).await;
    Ok(context.store.resource_gone(uids).await?)
}

/// Finds resources that were deleted unseen: rows that name one which is neither in the cache nor, since that may
/// lag, on the API server.
async fn compare_all(context: &Context, resources: &Store<ScoringJob>) -> Result<(), ReconcileError> {
    let mut after = None;
    loop {
        let page = context.store.live_resources_page(after, PAGE).await?;
        let mut gone = Vec::new();
        for row in page.iter().filter(|row| !is_cached(resources, &row.namespace, &row.name, row.uid)) {
            if is_gone::<ScoringJob>(&context.client, &row.namespace, &row.name, row.uid).await? {
                gone.push(row);
            }
        }
        let seen: Vec<Uuid> = gone.iter().filter_map(|row| row.uid).collect();
        cancel_jobs_of(&seen, context).await?;
        let unseen: Vec<JobId> = gone.iter().filter(|row| row.uid.is_none()).map(|row| row.job).collect();
        cancel_unseen(&unseen, context).await?;
        if !gone.is_empty() {
            info!(jobs = gone.len(), "found ScoringJobs that were deleted unseen");
        }
        match page.last() {
            Some(last) if page.len() == PAGE as usize => after = Some(last.job),
            _ => return Ok(()),
        }
    }
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

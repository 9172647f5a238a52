//! Deletes resources that have outlived their job long enough. The row stays.

use std::sync::Arc;
use std::time::Duration;

use domain::JobId;
use futures::{StreamExt, stream};
use resources::ScoringJob;
use runtime::{Outage, in_full};
use store::{LiveResource, StoreError};
use tracing::debug;
use uuid::Uuid;

use crate::cluster::delete_exactly;
use crate::context::Context;

const LOOK_EVERY: Duration = Duration::from_secs(1);

const PAGE: u32 = 500;

const CONCURRENT_DELETIONS: usize = 32;

/// Deletes what has expired, for as long as this replica leads. By the clock of Postgres.
pub(super) async fn delete_expired(context: Arc<Context>) {
    let (mut after, outage) = (None, Outage::of("deleting expired ScoringJobs"));
    loop {
        let deleted = delete_page(&context, after).await;
        outage.note(&deleted);
        after = deleted.unwrap_or(None);
        if after.is_none() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Deletes one page. Returns where the next begins, or nothing after the last: those that cannot be deleted hold up no
/// others.
async fn delete_page(context: &Context, after: Option<JobId>) -> Result<Option<JobId>, StoreError> {
    let expired = context.store.expired(after, PAGE).await?;
    let last = expired.last().filter(|_| expired.len() == PAGE as usize).map(|resource| resource.job);
    let gone: Vec<Uuid> = stream::iter(expired)
        .map(|resource| delete_one(resource, context))
        .buffer_unordered(CONCURRENT_DELETIONS)
        .filter_map(|uid| async move { uid })
        .collect()
        .await;
    if !gone.is_empty() {
        context.store.resource_gone(&gone).await?;
    }
    Ok(last)
}

async fn delete_one(resource: LiveResource, context: &Context) -> Option<Uuid> {
    let uid = resource.uid?;
    let (namespace, name) = (&resource.namespace, &resource.name);
    match delete_exactly::<ScoringJob>(&context.client, namespace, name, Some(uid)).await {
        Ok(()) => Some(uid),
        Err(error) => {
            debug!(job = %resource.job, error = in_full(&error), "cannot delete an expired ScoringJob yet");
            None
        }
    }
}

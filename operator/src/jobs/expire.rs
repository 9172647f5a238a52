//! Deletes resources that have outlived their job long enough. The row stays.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use resources::ScoringJob;
use runtime::{Outage, in_full};
use store::{LiveResource, StoreError};
use tracing::debug;

use crate::cluster::delete_exactly;
use crate::context::Context;

const LOOK_EVERY: Duration = Duration::from_secs(1);

const PAGE: u32 = 500;

const CONCURRENT_DELETIONS: usize = 32;

/// Deletes what has expired, for as long as this replica leads. By the clock of Postgres.
pub(super) async fn delete_expired(context: Arc<Context>) {
    let outage = Outage::of("deleting expired ScoringJobs");
    loop {
        outage.note(&delete_page(&context).await);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn delete_page(context: &Context) -> Result<(), StoreError> {
    let expired = context.store.expired(PAGE).await?;
    let gone: Vec<_> = stream::iter(expired)
        .map(|resource| delete_one(resource, context))
        .buffer_unordered(CONCURRENT_DELETIONS)
        .filter_map(|uid| async move { uid })
        .collect()
        .await;
    if gone.is_empty() { Ok(()) } else { context.store.resource_gone(&gone).await }
}

async fn delete_one(resource: LiveResource, context: &Context) -> Option<uuid::Uuid> {
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

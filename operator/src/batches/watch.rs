//! What the leader does about ScoringBatches, started together and stopped together.

use std::sync::Arc;

use futures::StreamExt;
use kube::ResourceExt;
use kube::runtime::reflector::{self, store::Writer};
use kube::runtime::{Controller, WatchStreamExt, controller, predicates, watcher::watcher};
use resources::ScoringBatch;
use runtime::in_full;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::reconcile::{after_error, reconcile};
use super::upkeep;
use crate::context::Context;
use crate::jobs::watch_config;

/// A batch is up to a thousand jobs, so a few at once are plenty.
const CONCURRENT_RECONCILIATIONS: u16 = 8;

/// Leads until the token is cancelled.
pub async fn lead(context: Arc<Context>, stop: CancellationToken) {
    let (reader, writer) = reflector::store();
    let work = async {
        tokio::join!(reconcile_all(context.clone(), writer), upkeep::keep_up(context.clone(), reader));
    };
    stop.run_until_cancelled(work).await;
}

async fn reconcile_all(context: Arc<Context>, writer: Writer<ScoringBatch>) {
    let reader = writer.as_reader();
    let changes = watcher(context.watched::<ScoringBatch>(), watch_config())
        .default_backoff()
        .modify(|resource| {
            resource.managed_fields_mut().clear();
        })
        .reflect(writer)
        .applied_objects()
        .predicate_filter(predicates::generation, Default::default());
    Controller::for_stream(changes, reader)
        .with_config(controller::Config::default().concurrency(CONCURRENT_RECONCILIATIONS))
        .run(reconcile, after_error, context)
        .for_each(|outcome| async move {
            if let Err(error) = outcome {
                debug!(error = in_full(&error), "a ScoringBatch is not reconciled yet");
            }
        })
        .await;
}

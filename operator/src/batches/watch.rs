//! Brings every ScoringBatch that is new or has changed to its reconciliation.

use std::sync::Arc;

use futures::StreamExt;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::Event;
use kube::runtime::{Controller, Predicate, WatchStreamExt, controller, predicates};
use resources::ScoringBatch;
use runtime::in_full;
use tokio::sync::Notify;
use tracing::debug;

use super::reconcile::{after_error, reconcile};
use crate::cluster::Seen;
use crate::context::Context;
use crate::metrics::OfKind;
use crate::reconciling::measured;
use crate::redrive;
use crate::watching::{each_time, watch};

/// A batch is up to a thousand jobs, so a few at once are plenty.
const CONCURRENT_RECONCILIATIONS: u16 = 8;

/// All are looked at again when the resources on record were `forgotten`.
pub(super) async fn reconcile_all(
    context: Arc<Context>,
    cache: Writer<Seen<ScoringBatch>>,
    forgotten: Arc<Notify>,
) {
    let reader = cache.as_reader();
    let (leaving, arriving) = (context.clone(), context.clone());
    context.arrived_batches.clear();
    let changes = watch(context.watched::<ScoringBatch>(), cache)
        .inspect(move |event| {
            if let Ok(Event::Delete(resource)) = event {
                leaving.arrived_batches.gone(resource);
            }
        })
        .applied_objects()
        // A status is written by this process alone: only a changed spec, or a wish, needs another look.
        .predicate_filter(predicates::generation.combine(redrive::asked), Default::default())
        .inspect(move |changed| {
            if let Ok(resource) = changed {
                arriving.arrived_batches.seen(resource);
            }
        });
    Controller::for_stream(changes, reader)
        .with_config(controller::Config::default().concurrency(CONCURRENT_RECONCILIATIONS))
        .reconcile_all_on(each_time(forgotten))
        .run(
            async |resource, context| {
                let (arrivals, metrics) = (&context.arrived_batches, &context.metrics);
                let work = reconcile(resource.clone(), context.clone());
                measured(OfKind::BATCH, resource.as_ref(), arrivals, metrics, work).await
            },
            after_error,
            context,
        )
        .for_each(|outcome| async move {
            if let Err(error) = outcome {
                debug!(error = in_full(&error), "a ScoringBatch is not reconciled yet");
            }
        })
        .await;
}

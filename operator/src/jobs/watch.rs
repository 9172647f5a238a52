//! Brings every ScoringJob that is new or has changed to its reconciliation, and tells of those that are gone.

use std::sync::Arc;

use domain::JobId;
use futures::StreamExt;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::Event;
use kube::runtime::{Controller, Predicate, WatchStreamExt, controller, predicates};
use resources::ScoringJob;
use runtime::in_full;
use tokio::sync::{Notify, mpsc};
use tracing::debug;
use uuid::Uuid;

use super::reconcile::{after_error, reconcile};
use crate::cluster::Seen;
use crate::context::Context;
use crate::metrics::OfKind;
use crate::reconciling::measured;
use crate::redrive;
use crate::watching::{each_time, watch};

/// Each reconciliation waits for its group commit, so large groups need many of them at once.
const CONCURRENT_RECONCILIATIONS: u16 = 512;

/// A resource whose deletion was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deleted {
    pub(super) uid: Uuid,
    /// The job that its name stands for, if the gateway may have made it.
    pub(super) named_job: Option<JobId>,
}

/// What the watch and those who look for deleted resources tell each other.
pub(super) struct Signals {
    /// Each deletion that was seen.
    pub(super) deleted: mpsc::UnboundedSender<Deleted>,
    /// All resources were listed anew: what was deleted unseen is not in the cache any more.
    pub(super) listed: Arc<Notify>,
    /// The resources on record were forgotten: those that are there are to be looked at again.
    pub(super) forgotten: Arc<Notify>,
}

pub(super) async fn reconcile_all(
    context: Arc<Context>,
    cache: Writer<Seen<ScoringJob>>,
    Signals { deleted, listed, forgotten }: Signals,
) {
    let reader = cache.as_reader();
    let (naming, arriving) = (context.clone(), context.clone());
    context.arrived_jobs.clear();
    let changes = watch(context.watched::<ScoringJob>(), cache)
        .inspect(move |event| match event {
            Ok(Event::InitDone) => listed.notify_one(),
            Ok(Event::Delete(resource)) => {
                naming.arrived_jobs.gone(resource);
                if let Ok(reference) = naming.reference(resource) {
                    let named_job = naming.named_id(&reference);
                    // Without a receiver leadership is ending, and the next leader compares.
                    let _ = deleted.send(Deleted { uid: reference.uid, named_job });
                }
            }
            _ => {}
        })
        .applied_objects()
        // A status is written by this process alone: only a changed spec, or a wish, needs another look.
        .predicate_filter(predicates::generation.combine(redrive::asked), Default::default())
        .inspect(move |changed| {
            if let Ok(resource) = changed {
                arriving.arrived_jobs.seen(resource);
            }
        });
    Controller::for_stream(changes, reader)
        .with_config(controller::Config::default().concurrency(CONCURRENT_RECONCILIATIONS))
        .reconcile_all_on(each_time(forgotten))
        .run(
            async |resource, context| {
                let (arrivals, metrics) = (&context.arrived_jobs, &context.metrics);
                let work = reconcile(resource.clone(), context.clone());
                measured(OfKind::JOB, resource.as_ref(), arrivals, metrics, work).await
            },
            after_error,
            context,
        )
        .for_each(|outcome| async move {
            if let Err(error) = outcome {
                debug!(error = in_full(&error), "a ScoringJob is not reconciled yet");
            }
        })
        .await;
}

//! What the leader does about ScoringJobs, started together and stopped together.

use std::sync::Arc;
use std::time::Duration;

use domain::JobId;
use futures::StreamExt;
use kube::ResourceExt;
use kube::runtime::reflector::{self, store::Writer};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{Controller, WatchStreamExt, controller, predicates, watcher::watcher};
use resources::ScoringJob;
use runtime::in_full;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::debug;
use uuid::Uuid;

use super::reconcile::{after_error, reconcile};
use super::{deleted, expire, statuses};
use crate::cluster::WATCH_SECONDS;
use crate::context::Context;

/// Each reconciliation waits for its group commit, so large groups need many of them at once.
const CONCURRENT_RECONCILIATIONS: u16 = 512;

/// Leads until the token is cancelled.
pub async fn lead(context: Arc<Context>, stop: CancellationToken) {
    let (reader, writer) = reflector::store();
    let (deleted_sender, deleted_receiver) = mpsc::unbounded_channel();
    let listed = Arc::new(Notify::new());
    let work = async {
        tokio::join!(
            reconcile_all(context.clone(), writer, deleted_sender, listed.clone()),
            deleted::cancel_deleted(context.clone(), reader.clone(), deleted_receiver, listed.clone()),
            statuses::show_changes(context.clone(), reader.clone()),
            expire::delete_expired(context.clone()),
        )
    };
    stop.run_until_cancelled(work).await;
}

/// A resource whose deletion was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deleted {
    pub uid: Uuid,
    /// The job that its name stands for, if the gateway may have made it.
    pub named_job: Option<JobId>,
}

async fn reconcile_all(
    context: Arc<Context>,
    writer: Writer<ScoringJob>,
    deleted: mpsc::UnboundedSender<Deleted>,
    listed: Arc<Notify>,
) {
    let reader = writer.as_reader();
    let naming = context.clone();
    let changes = watcher(context.watched::<ScoringJob>(), watch_config())
        .default_backoff()
        .modify(|resource| {
            resource.managed_fields_mut().clear();
        })
        .reflect(writer)
        .inspect(move |event| match event {
            // A relist drops what was deleted unseen; whoever compares is told.
            Ok(Event::InitDone) => listed.notify_one(),
            Ok(Event::Delete(resource)) => {
                if let Ok(reference) = naming.reference(resource) {
                    let named_job = naming.named_id(&reference);
                    // Without a receiver leadership is ending, and the next leader compares.
                    let _ = deleted.send(Deleted { uid: reference.uid, named_job });
                }
            }
            _ => {}
        })
        .applied_objects()
        // A status is written by this process alone: only a changed spec needs another look.
        .predicate_filter(predicates::generation, Default::default());
    Controller::for_stream(changes, reader)
        .with_config(controller::Config::default().concurrency(CONCURRENT_RECONCILIATIONS))
        .run(reconcile, after_error, context)
        .for_each(|outcome| async move {
            if let Err(error) = outcome {
                debug!(error = in_full(&error), "a ScoringJob is not reconciled yet");
            }
        })
        .await;
}

/// Watches are short, so that a server that is silently gone is noticed; see [`crate::cluster`].
pub(crate) fn watch_config() -> watcher::Config {
    watcher::Config::default().timeout(WATCH_SECONDS).page_size(1000)
}

/// How long a loop rests when there was nothing to do.
pub(super) const REST: Duration = Duration::from_millis(100);

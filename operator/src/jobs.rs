//! ScoringJobs: accepting what they ask for, showing what became of it, and letting go of them.

mod deleted;
mod expire;
mod reconcile;
mod redrive;
mod status;
mod statuses;
mod watch;

use std::sync::Arc;

use kube::runtime::reflector;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::context::Context;

/// What the leader does about ScoringJobs, started together and stopped together when the token is cancelled.
pub(crate) async fn lead(context: Arc<Context>, stop: CancellationToken) {
    let (reader, writer) = reflector::store();
    let (deleted_sender, deleted_receiver) = mpsc::unbounded_channel();
    let (listed, forgotten) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let signals =
        watch::Signals { deleted: deleted_sender, listed: listed.clone(), forgotten: forgotten.clone() };
    let work = async {
        tokio::join!(
            watch::reconcile_all(context.clone(), writer, signals),
            deleted::cancel_deleted(context.clone(), reader.clone(), deleted_receiver, listed, forgotten),
            statuses::show_changes(context.clone(), reader.clone()),
            expire::delete_expired(context.clone()),
        )
    };
    stop.run_until_cancelled(work).await;
}

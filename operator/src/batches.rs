//! ScoringBatches: accepting what they ask for, showing their counts, and letting go of them.

mod reconcile;
mod redrive;
mod status;
mod upkeep;
mod watch;

use std::sync::Arc;

use kube::runtime::reflector;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::context::Context;

/// What the leader does about ScoringBatches, started together and stopped together when the token is cancelled.
pub(crate) async fn lead(context: Arc<Context>, stop: CancellationToken) {
    let (reader, writer) = reflector::store();
    let forgotten = Arc::new(Notify::new());
    let work = async {
        tokio::join!(
            watch::reconcile_all(context.clone(), writer, forgotten.clone()),
            upkeep::keep_up(context.clone(), reader, forgotten.clone()),
        );
    };
    stop.run_until_cancelled(work).await;
}

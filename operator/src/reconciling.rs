//! What is measured of every reconciliation.

use std::time::Instant;

use kube::Resource;
use kube::runtime::controller::Action;

use crate::arrivals::Arrivals;
use crate::context::ReconcileError;
use crate::metrics::{Metrics, OfKind};

/// Reconciles a resource, and notes how long that took and how long it had waited.
pub(crate) async fn measured<K: Resource>(
    kind: OfKind,
    resource: &K,
    arrivals: &Arrivals,
    metrics: &Metrics,
    work: impl Future<Output = Result<Action, ReconcileError>>,
) -> Result<Action, ReconcileError> {
    if let Some(lag) = arrivals.taken_up(resource) {
        metrics.reconcile_lag(kind, lag);
    }
    let begun = Instant::now();
    let reconciled = work.await;
    metrics.reconciled(kind, begun.elapsed(), reconciled.is_ok());
    reconciled
}

//! What is measured and traced of every reconciliation.

use std::time::Instant;

use kube::Resource;
use kube::runtime::controller::Action;
use runtime::trace::{Span, SpanKind};

use crate::arrivals::Arrivals;
use crate::context::ReconcileError;
use crate::metrics::{Metrics, OfKind};
use crate::traces::annotated;

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
    // One without a trace would begin a new one whenever it is looked at.
    let mut span = annotated(resource)
        .map(|parent| Span::begin(format!("reconcile {kind}"), SpanKind::Consumer, Some(parent)))
        .unwrap_or_default();
    let reconciled = work.await;
    if reconciled.is_err() {
        span.fail("not reconciled yet");
    }
    metrics.reconciled(kind, begun.elapsed(), reconciled.is_ok());
    reconciled
}

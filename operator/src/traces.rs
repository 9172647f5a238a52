//! The traces of jobs, as the operator sees them.

use std::ops::Range;
use std::time::SystemTime;

use kube::ResourceExt;
use resources::TRACEPARENT;
use runtime::trace::{self, KeyValue, SpanKind, TraceContext};
use store::ToQueue;

use crate::metrics::QueuedBy;

/// The trace context that a resource carries.
pub(crate) fn annotated<K: ResourceExt>(resource: &K) -> Option<TraceContext> {
    TraceContext::read(resource.annotations().get(TRACEPARENT).map(String::as_str))
}

/// Jobs were put on the queue together, as it is seen in the trace of each.
pub(crate) fn queued(jobs: &[ToQueue], found_by: QueuedBy, when: &Range<SystemTime>) {
    if !trace::is_on() {
        return;
    }
    let size = i64::try_from(jobs.len()).unwrap_or(i64::MAX);
    for job in jobs {
        let attributes = [
            KeyValue::new("assay.job.id", job.job.to_string()),
            KeyValue::new("assay.pool", job.pool.to_string()),
            KeyValue::new("assay.found_by", found_by.as_str()),
            KeyValue::new("assay.batch.size", size),
        ];
        trace::hop("enqueue", SpanKind::Producer, job.traceparent.as_deref(), when.clone(), &attributes);
    }
}

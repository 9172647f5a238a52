//! Shows in `.status` what the rows say. Level-triggered: a row whose version is above the one that was shown is
//! shown as it is now, so a job that hurried through several states costs one write.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use domain::{ErrorCode, JobId, JobStatus};
use futures::{StreamExt, stream};
use kube::runtime::events::EventType;
use kube::runtime::reflector::{ObjectRef, Store};
use resources::ScoringJob;
use runtime::trace::{self, KeyValue, SpanKind, TraceContext};
use runtime::{Outage, in_full};
use store::{JobRow, Mirror, StoreError};

use super::status;
use crate::cluster::{Seen, has_uid, write_status};
use crate::context::Context;
use crate::events::publish;

/// The rows of one round.
const PAGE: u32 = 500;

/// How many writes are under way at once.
const CONCURRENT_WRITES: usize = 64;

/// How long it rests when there was nothing left to show.
const REST: Duration = Duration::from_millis(100);

/// Shows changes for as long as this replica leads.
pub(super) async fn show_changes(context: Arc<Context>, resources: Store<Seen<ScoringJob>>) {
    let (mut after, outage) = (None, Outage::of("showing what became of jobs"));
    loop {
        let shown = show_page(&context, &resources, after).await;
        outage.note(&shown);
        if let Ok(last) = shown {
            after = last;
        }
        if after.is_none() {
            tokio::time::sleep(REST).await;
        }
    }
}

/// Shows one page of changed rows. Returns where the next begins, or nothing after the last.
async fn show_page(
    context: &Context,
    resources: &Store<Seen<ScoringJob>>,
    after: Option<JobId>,
) -> Result<Option<JobId>, StoreError> {
    let rows = context.store.changed(after, PAGE).await?;
    let last = rows.last().filter(|_| rows.len() == PAGE as usize).map(|row| row.id);
    let shown: Vec<(JobId, i64)> = stream::iter(rows)
        .map(|row| async move { show(&row, context, resources).await.then_some((row.id, row.version)) })
        .buffer_unordered(CONCURRENT_WRITES)
        .filter_map(|shown| async move { shown })
        .collect()
        .await;
    if !shown.is_empty() {
        context.store.mark_status_mirrored(&shown).await?;
    }
    Ok(last)
}

/// Shows one row. False when that has to be tried again.
async fn show(row: &JobRow, context: &Context, resources: &Store<Seen<ScoringJob>>) -> bool {
    let Mirror::Job { namespace, name, uid: Some(uid) } = &row.mirror else {
        return false;
    };
    // Not seen yet, or deleted: the watch tells.
    let Some(resource) = resources.get(&ObjectRef::new(name).within(namespace)) else {
        return false;
    };
    if !has_uid(resource.as_ref(), *uid) {
        return false;
    }
    let wanted = status::of_row(row);
    // One that cannot be read shows what nobody here wrote.
    if resource.0.as_ref().is_ok_and(|shown| shown.status.as_ref() == Some(&wanted)) {
        return true;
    }
    let began = SystemTime::now();
    match write_status(&context.client, resource.as_ref(), &wanted).await {
        Ok(()) => {
            context.metrics.statuses.inc();
            let attributes = [KeyValue::new("assay.status", row.status.as_str())];
            let when = began..SystemTime::now();
            trace::hop("show status", SpanKind::Client, row.traceparent.as_deref(), when, &attributes);
            announce_failure(row, &resource, context).await;
            true
        }
        // Another version than the one seen: the watch brings it. Gone: the watch tells.
        Err(error) if error.is_conflict() || error.is_not_found() => false,
        Err(error) => {
            let trace = TraceContext::read(row.traceparent.as_deref());
            let trace_id = trace.map(|context| tracing::field::display(context.trace_id()));
            tracing::debug!(job = %row.id, trace_id, error = in_full(&error), "cannot write a status yet");
            false
        }
    }
}

/// A job that failed for good is something to act on; one that a person cancelled is not.
async fn announce_failure(row: &JobRow, resource: &Seen<ScoringJob>, context: &Context) {
    let Some(code) = row.error_code.as_ref().filter(|_| row.status == JobStatus::Error) else {
        return;
    };
    if *code != ErrorCode::CANCELLED {
        let note: String = row.feedback.as_deref().unwrap_or_default().chars().take(900).collect();
        publish(resource, EventType::Warning, &status::camel_case(code.as_str()), &note, "Score", context)
            .await;
    }
}

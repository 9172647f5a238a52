//! The traces of jobs, as the scorer sees them.

use std::ops::Range;
use std::time::SystemTime;

use domain::{AttemptOutcome, Claim, JobStatus};
use runtime::trace::{self, KeyValue, Span, SpanKind, TraceContext};
use store::Work;

/// A call that claimed jobs.
#[derive(Clone, Debug)]
pub(crate) struct Claiming {
    /// When it was made and answered.
    pub(crate) when: Range<SystemTime>,
    /// How many jobs it claimed.
    pub(crate) jobs: usize,
}

/// An attempt as part of its job's trace.
#[derive(Debug)]
pub(crate) struct AttemptSpan {
    span: Span,
    /// What the steps of the attempt belong to: its span, or without an exporter what the job brings along.
    context: Option<TraceContext>,
    traceparent: Option<String>,
}

impl AttemptSpan {
    /// The attempt began with this claim, and with the call that started it in Postgres.
    pub(crate) fn begin(
        work: &Work,
        claim: Claim,
        claiming: &Claiming,
        start: Range<SystemTime>,
    ) -> AttemptSpan {
        let given = TraceContext::read(work.traceparent.as_deref());
        if !trace::is_on() || given.is_none() {
            return AttemptSpan { span: Span::default(), context: given, traceparent: None };
        }
        // By the clock of Postgres it was due so long before it was started.
        let due = start.end.checked_sub(work.waited).unwrap_or(start.end);
        let claimed = claiming.when.end.max(due);
        let waiting = due.min(claiming.when.end)..claimed;
        trace::hop("wait in queue", SpanKind::Internal, work.traceparent.as_deref(), waiting, &[]);

        let mut span = Span::begun_at("attempt", SpanKind::Consumer, given, claiming.when.start);
        span.set("assay.job.id", work.job.to_string());
        span.set("assay.attempt", i64::from(work.attempt));
        span.set("assay.epoch", claim.epoch.0);
        let context = span.context().or(given);
        let attempt = AttemptSpan { traceparent: context.map(|context| context.to_string()), span, context };
        let size = i64::try_from(claiming.jobs).unwrap_or(i64::MAX);
        let attributes = [KeyValue::new("assay.batch.size", size)];
        attempt.step("claim", SpanKind::Client, claiming.when.clone(), &attributes);
        attempt.step("start", SpanKind::Client, start, &[]);
        attempt
    }

    /// What log lines about the attempt refer to.
    pub(crate) fn context(&self) -> Option<TraceContext> {
        self.context
    }

    /// A step of it is over.
    pub(crate) fn step(
        &self,
        name: &'static str,
        kind: SpanKind,
        when: Range<SystemTime>,
        attributes: &[KeyValue],
    ) {
        trace::hop(name, kind, self.traceparent.as_deref(), when, attributes);
    }

    /// Its end is on the record.
    pub(crate) fn recorded(&mut self, outcome: AttemptOutcome, status: JobStatus) {
        self.span.set("assay.outcome", outcome.as_str());
        self.span.set("assay.status", status.as_str());
        if !matches!(outcome, AttemptOutcome::Done) {
            self.span.fail(outcome.as_str());
        }
    }
}

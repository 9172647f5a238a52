//! Spans: what happened, from when to when, as part of which trace.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;
use std::time::SystemTime;

use opentelemetry::trace::{Span as _, SpanBuilder, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::trace::SdkTracer;

use super::TraceContext;

/// Set once, when this process begins to export.
pub(super) static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Whether spans are exported. Whoever makes attributes for one looks here before.
pub fn is_on() -> bool {
    TRACER.get().is_some()
}

/// A span that is under way. It ends when it is dropped. Without an exporter it is nothing.
#[derive(Debug, Default)]
pub struct Span(Option<opentelemetry_sdk::trace::Span>);

impl Span {
    /// Begins a span now. Without a parent it begins a trace.
    pub fn begin(name: impl Into<Cow<'static, str>>, kind: SpanKind, parent: Option<TraceContext>) -> Span {
        Span::start(SpanBuilder::from_name(name).with_kind(kind), parent)
    }

    /// Begins a span that has been under way since then.
    pub fn begun_at(
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        parent: Option<TraceContext>,
        began: SystemTime,
    ) -> Span {
        Span::start(SpanBuilder::from_name(name).with_kind(kind).with_start_time(began), parent)
    }

    fn start(builder: SpanBuilder, parent: Option<TraceContext>) -> Span {
        let Some(tracer) = TRACER.get() else { return Span(None) };
        let mut context = Context::new();
        if let Some(parent) = parent {
            context = context.with_remote_span_context(parent.as_remote());
        }
        Span(Some(tracer.build_with_context(builder, &context)))
    }

    /// What has this span as its parent.
    pub fn context(&self) -> Option<TraceContext> {
        TraceContext::of(self.0.as_ref()?.span_context())
    }

    /// Says something about it.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new(key, value));
        }
    }

    /// It failed, for this reason.
    pub fn fail(&mut self, reason: impl Into<Cow<'static, str>>) {
        if let Some(span) = &mut self.0 {
            span.set_status(Status::error(reason));
        }
    }
}

/// Records a hop of a job that is over, in the job's trace. Of a job without one, nothing is recorded.
pub fn hop(
    name: &'static str,
    kind: SpanKind,
    traceparent: Option<&str>,
    when: Range<SystemTime>,
    attributes: &[KeyValue],
) {
    if !is_on() {
        return;
    }
    let Some(parent) = TraceContext::read(traceparent) else { return };
    let builder = SpanBuilder::from_name(name)
        .with_kind(kind)
        .with_start_time(when.start)
        .with_attributes(attributes.iter().cloned());
    if let Span(Some(mut span)) = Span::start(builder, Some(parent)) {
        span.end_with_timestamp(when.end.max(when.start));
    }
}

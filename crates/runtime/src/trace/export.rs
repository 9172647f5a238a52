//! Sending spans to a collector.
//!
//! Whoever ends a span never waits: it goes into a buffer of fixed size, or is dropped and counted when that is full. One
//! task sends what is there. (The exporter's own ways need a thread that cannot use this process's HTTP client.)

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::Context;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanExporter as _, SpanProcessor};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use super::span::TRACER;
use crate::{Outage, in_full};

/// The most spans that wait to be sent: a few megabytes.
const BUFFER: usize = 16_384;

/// The most spans in one request.
const LARGEST_BATCH: usize = 512;

/// How long spans gather after the first.
const GATHER: Duration = Duration::from_millis(500);

/// How long the end of the process may wait for a collector.
const LONGEST_FLUSH: Duration = Duration::from_secs(3);

/// Spans sent and dropped since the start.
#[derive(Debug, Default)]
pub(crate) struct SpanCounters {
    exported: Counter,
    dropped: Counter,
}

static COUNTERS: LazyLock<SpanCounters> = LazyLock::new(SpanCounters::default);

impl SpanCounters {
    pub(crate) fn register(registry: &mut Registry) {
        registry.register("assay_spans_exported", "Spans sent to the collector", COUNTERS.exported.clone());
        registry.register(
            "assay_spans_dropped",
            "Spans that the collector did not take, or that came faster than it takes them",
            COUNTERS.dropped.clone(),
        );
    }
}

enum Message {
    Ended(Box<SpanData>),
    /// To be answered once all that came before is sent.
    Flush(oneshot::Sender<()>),
}

/// The export of this process's spans.
#[derive(Clone, Debug)]
#[must_use = "spans that are not flushed before the end of the process are lost"]
pub struct Exporting(Option<mpsc::Sender<Message>>);

impl Exporting {
    /// Nothing is exported.
    pub(crate) const OFF: Exporting = Exporting(None);

    /// Sends what has ended so far, for a few seconds at most.
    pub async fn flush(self) {
        let Some(spans) = self.0 else { return };
        let (sent, answer) = oneshot::channel();
        let flushing = async {
            // An error of either means that nothing is exported any more.
            if spans.send(Message::Flush(sent)).await.is_ok() {
                let _ = answer.await;
            }
        };
        if timeout(LONGEST_FLUSH, flushing).await.is_err() {
            tracing::warn!("the last spans could not be sent in time");
        }
    }
}

/// Exports this process's spans, from now on, to this URL.
///
/// # Errors
/// When the URL cannot be used, or something else of the exporter's settings.
pub(crate) fn export_to(
    url: &str,
    service: Option<String>,
    version: &'static str,
) -> anyhow::Result<Exporting> {
    crate::use_ring();
    let mut resource =
        Resource::builder().with_attribute(opentelemetry::KeyValue::new("service.version", version));
    if let Some(service) = service {
        resource = resource.with_service_name(service);
    }
    let resource = resource.build();
    let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).with_endpoint(url);
    let mut exporter = exporter.build().context("--otlp-traces-endpoint")?;
    exporter.set_resource(&resource);
    let (spans, ended) = mpsc::channel(BUFFER);
    tokio::spawn(send(exporter, ended));
    let provider = SdkTracerProvider::builder()
        .with_resource(resource)
        .with_span_processor(Buffer(Arc::new(spans.clone())))
        .build();
    let tracer = provider.tracer("assay");
    TRACER.set(tracer).map_err(|_| anyhow::anyhow!("traces are exported already"))?;
    Ok(Exporting(Some(spans)))
}

/// Takes spans that have ended.
#[derive(Debug)]
struct Buffer(Arc<mpsc::Sender<Message>>);

impl SpanProcessor for Buffer {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.0.try_send(Message::Ended(Box::new(span))).is_err() {
            COUNTERS.dropped.inc();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

async fn send(exporter: SpanExporter, mut ended: mpsc::Receiver<Message>) {
    let outage = Outage::of("exporting traces");
    while let Some(first) = ended.recv().await {
        let (batch, flushed) = gather(first, &mut ended).await;
        let spans = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        if spans > 0 {
            let sent = exporter.export(batch).await;
            match &sent {
                Ok(()) => COUNTERS.exported.inc_by(spans),
                Err(_) => COUNTERS.dropped.inc_by(spans),
            };
            match sent {
                Ok(()) => outage.end(),
                Err(error) => outage.begin(&in_full(&error)),
            }
        }
        if let Some(flushed) = flushed {
            // Nobody waits any more.
            let _ = flushed.send(());
        }
    }
}

/// What goes into one request, and whom to tell when it is sent.
async fn gather(
    first: Message,
    ended: &mut mpsc::Receiver<Message>,
) -> (Vec<SpanData>, Option<oneshot::Sender<()>>) {
    let until = Instant::now() + GATHER;
    let (mut batch, mut next) = (Vec::new(), Some(first));
    while let Some(message) = next {
        match message {
            Message::Ended(span) => batch.push(*span),
            Message::Flush(flushed) => return (batch, Some(flushed)),
        }
        if batch.len() >= LARGEST_BATCH {
            break;
        }
        next = timeout_at(until, ended.recv()).await.ok().flatten();
    }
    (batch, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_collector_that_is_away_holds_up_neither_whoever_ends_a_span_nor_the_end_of_the_process() {
        let (spans, _never_read) = mpsc::channel(2);
        let exporting = Exporting(Some(spans.clone()));
        let provider = SdkTracerProvider::builder().with_span_processor(Buffer(Arc::new(spans))).build();
        let tracer = provider.tracer("test");
        let dropped_before = COUNTERS.dropped.get();
        for _ in 0..5 {
            drop(opentelemetry::trace::Tracer::start(&tracer, "work"));
        }
        assert_eq!(COUNTERS.dropped.get() - dropped_before, 3);
        let begun = Instant::now();
        exporting.flush().await;
        assert!(begun.elapsed() < LONGEST_FLUSH * 2, "{:?}", begun.elapsed());
    }
}

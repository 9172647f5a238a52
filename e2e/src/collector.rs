//! A collector of traces, as OpenTelemetry's is: it takes spans over OTLP/HTTP, and shows them.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A collector on a port of its own. It ends with this.
#[derive(Debug)]
pub struct Collector {
    url: String,
    spans: Spans,
    serving: JoinHandle<()>,
}

type Spans = Arc<Mutex<Vec<CollectedSpan>>>;

/// A span as it was exported.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectedSpan {
    /// The service that exported it.
    pub service: String,
    /// What happened.
    pub name: String,
    /// In hexadecimal.
    pub trace_id: String,
    /// In hexadecimal.
    pub span_id: String,
    /// In hexadecimal, and empty for the first of a trace.
    pub parent_span_id: String,
    /// When it began, in nanoseconds since 1970.
    pub began: u64,
    /// When it ended.
    pub ended: u64,
    /// What is said about it, each value as text.
    pub attributes: Vec<(String, String)>,
}

impl CollectedSpan {
    /// What it says under this key.
    pub fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

impl Collector {
    /// Starts it.
    ///
    /// # Errors
    /// When there is no port for it.
    pub async fn start() -> Result<Collector> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let spans = Spans::default();
        let router = Router::new().route("/v1/traces", post(take)).with_state(spans.clone());
        let serving = tokio::spawn(async move {
            // It ends with the test.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Collector { url, spans, serving })
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` is to say.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The spans of a trace that have come so far.
    pub fn trace(&self, trace_id: &str) -> Vec<CollectedSpan> {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        spans.iter().filter(|span| span.trace_id == trace_id).cloned().collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn take(State(spans): State<Spans>, body: Bytes) -> StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else { return StatusCode::BAD_REQUEST };
    let mut collected = spans.lock().unwrap_or_else(PoisonError::into_inner);
    for resource in request.resource_spans {
        let of_resource = resource.resource.unwrap_or_default().attributes;
        let service = texts(of_resource).into_iter().find(|(key, _)| key == "service.name");
        let service = service.map(|(_, name)| name).unwrap_or_default();
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            collected.push(CollectedSpan {
                service: service.clone(),
                name: span.name,
                trace_id: hexadecimal(&span.trace_id),
                span_id: hexadecimal(&span.span_id),
                parent_span_id: hexadecimal(&span.parent_span_id),
                began: span.start_time_unix_nano,
                ended: span.end_time_unix_nano,
                attributes: texts(span.attributes),
            });
        }
    }
    StatusCode::OK
}

fn texts(attributes: Vec<KeyValue>) -> Vec<(String, String)> {
    let text = |value: Option<AnyValue>| match value.and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.into_iter().map(|attribute| (attribute.key, text(attribute.value))).collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

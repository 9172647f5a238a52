//! One trace for each job, across processes: spans that are exported over OTLP when the settings say where to.
//!
//! What leads from one hop to the next is the job's `traceparent`, which its row carries. Most hops serve many jobs at
//! once, so their spans are recorded when they are over, one in the trace of each job. Without an exporter nothing here
//! does more than look whether there is one.

mod context;
mod export;
mod span;

pub use context::{InvalidTraceparent, TraceContext};
pub use export::Exporting;
pub(crate) use export::{SpanCounters, export_to};
pub use opentelemetry::trace::{SpanId, SpanKind, TraceId};
pub use opentelemetry::{KeyValue, Value};
pub use span::{Span, hop, is_on};

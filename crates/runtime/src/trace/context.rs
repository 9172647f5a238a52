//! The W3C trace context: which trace, and which span of it is the parent of what comes next.

use std::fmt;
use std::str::FromStr;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

/// A place in a trace. Its text is the value of a `traceparent` header.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace_id: TraceId,
    span_id: SpanId,
    flags: TraceFlags,
}

/// What is no `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no W3C trace context: 00-TRACE_ID-PARENT_ID-FLAGS in lower-case hexadecimal, with neither id all zero"
)]
pub struct InvalidTraceparent;

impl TraceContext {
    /// The beginning of a trace that nobody exports: it joins log lines and rows.
    pub fn unsampled() -> TraceContext {
        let ids = RandomIdGenerator::default();
        TraceContext {
            trace_id: ids.new_trace_id(),
            span_id: ids.new_span_id(),
            flags: TraceFlags::NOT_SAMPLED,
        }
    }

    /// Of a column or an annotation that may hold none.
    pub fn read(traceparent: Option<&str>) -> Option<TraceContext> {
        traceparent?.parse().ok()
    }

    /// Which trace.
    pub fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// Which span of it.
    pub fn span_id(&self) -> SpanId {
        self.span_id
    }

    pub(super) fn of(context: &SpanContext) -> Option<TraceContext> {
        context.is_valid().then(|| TraceContext {
            trace_id: context.trace_id(),
            span_id: context.span_id(),
            flags: context.trace_flags(),
        })
    }

    pub(super) fn as_remote(&self) -> SpanContext {
        SpanContext::new(self.trace_id, self.span_id, self.flags, true, TraceState::NONE)
    }
}

impl FromStr for TraceContext {
    type Err = InvalidTraceparent;

    fn from_str(text: &str) -> Result<Self, InvalidTraceparent> {
        let rest = text.strip_prefix("00-").filter(|rest| rest.len() == 52 && rest.is_ascii());
        let rest = rest.ok_or(InvalidTraceparent)?;
        let (trace_id, span_id, flags) = (&rest[..32], &rest[33..49], &rest[50..]);
        if rest.as_bytes()[32] != b'-' || rest.as_bytes()[49] != b'-' {
            return Err(InvalidTraceparent);
        }
        let is_hex = |field: &str| field.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !is_hex(trace_id) || !is_hex(span_id) || !is_hex(flags) {
            return Err(InvalidTraceparent);
        }
        let context = TraceContext {
            trace_id: TraceId::from_hex(trace_id).map_err(|_| InvalidTraceparent)?,
            span_id: SpanId::from_hex(span_id).map_err(|_| InvalidTraceparent)?,
            flags: TraceFlags::new(u8::from_str_radix(flags, 16).map_err(|_| InvalidTraceparent)?),
        };
        if context.trace_id == TraceId::INVALID || context.span_id == SpanId::INVALID {
            return Err(InvalidTraceparent);
        }
        Ok(context)
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace_id, self.span_id, self.flags.to_u8())
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_context_is_written_as_it_was_read() {
        for text in [
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000001-0000000000000001-00",
        ] {
            assert_eq!(text.parse().map(|context: TraceContext| context.to_string()), Ok(text.to_owned()));
        }
        let new = TraceContext::unsampled();
        assert_eq!(new.to_string().parse(), Ok(new));
        assert_ne!(new.trace_id(), TraceContext::unsampled().trace_id());
    }

    #[test]
    fn what_its_standard_calls_invalid_is_no_trace_context() {
        for invalid in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
            "00-4bf92f3577b34da6a3ce929d0e0e47é-00f067aa0ba902b7-01",
        ] {
            assert_eq!(invalid.parse::<TraceContext>(), Err(InvalidTraceparent), "{invalid}");
        }
    }
}

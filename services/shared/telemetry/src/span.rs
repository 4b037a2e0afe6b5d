//! Starts the spans of calls.

use opentelemetry::Context;
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, TraceContextExt as _, TraceFlags, TraceState, Tracer as _,
};
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};

use crate::semconv::instruments;

/// Starts a span and returns `parent` with it as the current one.
///
/// Without a collector there are no spans. The context then has a trace of random ids, unless `parent` has one, so that the log
/// lines of a request are joined at every hop all the same. It counts as sampled, because a callee that has a collector would drop
/// the spans of any other trace.
pub(crate) fn start(builder: SpanBuilder, parent: &Context) -> Context {
    let span = instruments().tracer.build_with_context(builder, parent);
    if span.span_context().is_valid() {
        return parent.with_span(span);
    }
    let ids = RandomIdGenerator::default();
    let (trace, span) = (ids.new_trace_id(), ids.new_span_id());
    parent.with_remote_span_context(SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::NONE))
}

//! Log lines on standard error: one readable line, or one JSON object, each with the request and the trace it belongs to.

use std::fmt;
use std::io;

use kernel::RequestId;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, Layer};
use tracing_subscriber::registry::LookupSpan;

type Console<S, F> = Layer<S, DefaultFields, F, fn() -> io::Stderr>;

/// `time LEVEL target: message field=value … request_id=… trace_id=…`.
pub(crate) fn pretty<S>(ansi: bool) -> Console<S, Pretty>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = Layer::default().event_format(Pretty).with_writer(io::stderr as fn() -> io::Stderr);
    // Where colours would fit, the layer's own default obeys NO_COLOR.
    if ansi { layer } else { layer.with_ansi(false) }
}

/// `{"timestamp", "level", "target", "message", …fields, "request_id", "trace_id", "span_id"}`.
pub(crate) fn json<S>() -> Console<S, Json>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    Layer::default().event_format(Json).with_ansi(false).with_writer(io::stderr as fn() -> io::Stderr)
}

/// The request and the span that a task works for, if there are any.
struct Origin<'a> {
    request: Option<&'a RequestId>,
    span: Option<&'a SpanContext>,
}

/// Runs `write` on the origin of the calling task.
fn with_origin(write: impl FnOnce(Origin<'_>) -> fmt::Result) -> fmt::Result {
    Context::map_current(|context| {
        let active = context.span();
        let span = Some(active.span_context()).filter(|span| span.is_valid());
        write(Origin { request: context.get(), span })
    })
}

pub(crate) struct Pretty;

impl<S, N> FormatEvent<S, N> for Pretty
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        let (dim, plain) = if out.has_ansi_escapes() { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
        write!(out, "{dim}")?;
        SystemTime.format_time(&mut out)?;
        write!(
            out,
            "{plain} {} {dim}{}:{plain} ",
            Coloured(metadata.level(), out.has_ansi_escapes()),
            metadata.target()
        )?;
        ctx.field_format().format_fields(out.by_ref(), event)?;
        with_origin(|Origin { request, span }| {
            request.map_or(Ok(()), |request| write!(out, " {dim}request_id={request}{plain}"))?;
            span.map_or(Ok(()), |span| write!(out, " {dim}trace_id={}{plain}", span.trace_id()))
        })?;
        writeln!(out)
    }
}

struct Coloured<'a>(&'a Level, bool);

impl fmt::Display for Coloured<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(level, ansi) = *self;
        let colour = match *level {
            _ if !ansi => return write!(f, "{level:>5}"),
            Level::ERROR => "\x1b[31m",
            Level::WARN => "\x1b[33m",
            Level::INFO => "\x1b[32m",
            _ => "\x1b[34m",
        };
        write!(f, "{colour}{level:>5}\x1b[0m")
    }
}

pub(crate) struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        write!(out, "{{\"timestamp\":\"")?;
        SystemTime.format_time(&mut out)?;
        write!(out, "\",\"level\":\"{}\",\"target\":\"{}\"", metadata.level(), metadata.target())?;
        let mut members = Members { out: out.by_ref(), result: Ok(()) };
        event.record(&mut members);
        members.result?;
        with_origin(|Origin { request, span }| {
            // No character of either needs an escape.
            request.map_or(Ok(()), |request| write!(out, ",\"request_id\":\"{request}\""))?;
            let ids = span.map(|span| (span.trace_id(), span.span_id()));
            ids.map_or(Ok(()), |(trace, span)| write!(out, ",\"trace_id\":\"{trace}\",\"span_id\":\"{span}\""))
        })?;
        writeln!(out, "}}")
    }
}

/// Writes fields as members of an object that is already open.
struct Members<'w> {
    out: Writer<'w>,
    result: fmt::Result,
}

impl Members<'_> {
    fn member(&mut self, field: &Field, value: impl Into<Value>) {
        if self.result.is_ok() {
            self.result = write!(self.out, ",\"{}\":{}", field.name(), value.into());
        }
    }
}

impl Visit for Members<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.member(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.member(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.member(field, value);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use ::http::HeaderMap;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::{propagation, request_id};

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no writer panicked").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Returns the output of `log` within the request and the span of a caller.
    fn logged(
        format: impl FormatEvent<tracing_subscriber::Registry, DefaultFields> + Send + Sync + 'static,
        log: fn(),
    ) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let layer = Layer::default().event_format(format).with_ansi(false).with_writer(move || writer.clone());
        let mut headers = HeaderMap::new();
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        headers.insert("traceparent", ::http::HeaderValue::from_static(parent));
        headers.insert("x-request-id", ::http::HeaderValue::from_static("ticket-7"));
        let _entered = propagation::extract(&headers).with_value(request_id::extract(&headers)).attach();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let bytes = sink.0.lock().expect("no writer panicked").clone();
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn json_line_has_fields_request_and_trace() {
        let line = logged(Json, || {
            tracing::warn!(target: "t", text = "a \"b\"\n", count = 3, share = f64::NAN, ok = true, "it {}", "broke");
        });
        let (first, rest) = line.split_once('\n').expect("a line");
        assert_eq!(rest, "");
        let mut object: serde_json::Value = serde_json::from_str(first).expect("JSON");
        let time = object.as_object_mut().and_then(|object| object.remove("timestamp")).expect("a time");
        assert!(time.as_str().is_some_and(|time| time.ends_with('Z')), "{time}");
        let expected = serde_json::json!({
            "level": "WARN", "target": "t", "message": "it broke", "text": "a \"b\"\n", "count": 3, "share": null,
            "ok": true, "request_id": "ticket-7", "trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331",
        });
        assert_eq!(object, expected);
    }

    #[test]
    fn pretty_line_ends_with_request_and_trace() {
        let line = logged(Pretty, || tracing::info!(target: "t", count = 3, "it works"));
        let trace = "request_id=ticket-7 trace_id=0af7651916cd43dd8448eb211c80319c";
        assert!(line.ends_with(&format!("  INFO t: it works count=3 {trace}\n")), "{line}");
    }
}

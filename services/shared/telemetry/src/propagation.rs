//! The trace context in headers: `traceparent` and `tracestate` (W3C Trace Context).
//!
//! Baggage is not carried: what an untrusted caller writes into it would travel through every service.

use ::http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry_sdk::propagation::TraceContextPropagator;

/// Returns the sender's context; an empty one if the headers name none, or a malformed one.
#[must_use]
pub fn extract(headers: &HeaderMap) -> Context {
    if !headers.contains_key("traceparent") {
        return Context::new();
    }
    TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers))
}

/// Names the span of `context` as the parent of what these headers start, in place of any parent they name.
///
/// A context without a span leaves the headers alone.
pub fn inject(context: &Context, headers: &mut HeaderMap) {
    TraceContextPropagator::new().inject_context(context, &mut HeadersMut(headers));
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct HeadersMut<'a>(&'a mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) else { return };
        if value.is_empty() {
            self.0.remove(name);
        } else {
            self.0.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TraceContextExt;

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn extracted_context_is_injected_again() {
        let context = extract(&headers(&[("traceparent", PARENT), ("tracestate", "a=b")]));
        let mut out = headers(&[("traceparent", "somebody else"), ("accept", "*/*")]);
        inject(&context, &mut out);
        assert_eq!(out, headers(&[("traceparent", PARENT), ("tracestate", "a=b"), ("accept", "*/*")]));
    }

    #[test]
    fn malformed_parent_is_ignored() {
        for bad in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-zz",
        ] {
            assert!(!extract(&headers(&[("traceparent", bad)])).span().span_context().is_valid(), "{bad}");
        }
        let mut opaque = HeaderMap::new();
        opaque.insert("traceparent", HeaderValue::from_bytes(b"\xff\xfe").expect("opaque bytes are a header value"));
        assert!(!extract(&opaque).span().span_context().is_valid());
    }

    #[test]
    fn context_without_span_injects_nothing() {
        let mut out = HeaderMap::new();
        inject(&Context::new(), &mut out);
        assert!(out.is_empty());
    }
}

//! The id of a request: the caller's or a new one, carried by the context to every log line and passed on in `x-request-id`.

use ::http::{HeaderMap, HeaderName, HeaderValue};
use kernel::RequestId;
use opentelemetry::Context;
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};

/// The header of a request's id, in requests and in answers.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Returns the id of the request that the calling task works for; none outside of requests.
#[must_use]
pub fn current() -> Option<RequestId> {
    Context::map_current(|context| context.get().cloned())
}

/// Puts an id into headers, in place of any that they have.
pub fn insert(id: &RequestId, headers: &mut HeaderMap) {
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        headers.insert(REQUEST_ID, value);
    }
}

/// Returns the id that the headers name. If they name none, several, or a malformed one, it is a new one.
pub(crate) fn extract(headers: &HeaderMap) -> RequestId {
    let mut sent = headers.get_all(REQUEST_ID).iter();
    let id = match (sent.next(), sent.next()) {
        (Some(only), None) => only.to_str().ok().and_then(|text| text.parse().ok()),
        _ => None,
    };
    id.unwrap_or_else(|| RequestId::from_random(RandomIdGenerator::default().new_trace_id().to_bytes()))
}

/// Puts the id of `context`, if it has one, into the headers of a call.
pub(crate) fn inject(context: &Context, headers: &mut HeaderMap) {
    if let Some(id) = context.get() {
        insert(id, headers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let value = |bytes: &&[u8]| (REQUEST_ID, HeaderValue::from_bytes(bytes).expect("a header value"));
        values.iter().map(value).fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(name, value);
            headers
        })
    }

    #[test]
    fn well_formed_id_is_kept() {
        assert_eq!(extract(&headers(&[b"ticket.4711_a-B"])).as_str(), "ticket.4711_a-B");
    }

    #[test]
    fn missing_malformed_or_ambiguous_id_is_replaced() {
        let long = [b'x'; RequestId::MAX_LENGTH + 1];
        let all: [&[&[u8]]; 7] = [&[], &[b""], &[b"a b"], &[b"a,b"], &[b"\xff"], &[&long], &[b"a", b"a"]];
        let made: Vec<_> = all.iter().map(|sent| extract(&headers(sent)).to_string()).collect();
        for (at, id) in made.iter().enumerate() {
            assert_eq!(id.len(), 36, "{id}");
            assert!(!made[..at].contains(id), "{id} is made once");
        }
    }

    #[test]
    fn id_of_context_replaces_that_of_headers() {
        let mut out = headers(&[b"another"]);
        inject(&Context::new(), &mut out);
        assert_eq!(out, headers(&[b"another"]));
        inject(&Context::new().with_value(extract(&headers(&[b"one"]))), &mut out);
        assert_eq!(out, headers(&[b"one"]));
    }
}

//! CORS: lets pages of the listed origins call (the Fetch standard, "CORS protocol"). Credentials are bearer tokens, which a
//! page sends itself, so cookies play no part.
//!
//! Not by tower-http, which answers every OPTIONS request itself, even where the origin is not allowed or there is no preflight.

use std::sync::LazyLock;

use front_settings::{Origin, headers};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue,
    ORIGIN, VARY,
};
use http::{Method, Response};
use tonic::body::Body;

/// Headers that a page may send.
static ALLOWED: LazyLock<HeaderValue> = LazyLock::new(|| value(&headers::allowed_to_pages()));
/// Headers that a page may read.
static EXPOSED: LazyLock<HeaderValue> = LazyLock::new(|| value(&headers::exposed_to_pages()));

/// Returns a list of header names as a value, which it always is: names are of fewer characters.
fn value(list: &str) -> HeaderValue {
    HeaderValue::try_from(list).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The origins whose pages may call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cors(Vec<Origin>);

impl Cors {
    pub(crate) const fn new(origins: Vec<Origin>) -> Self {
        Self(origins)
    }

    /// Returns the origin of a request, if its pages may call.
    pub(crate) fn allowed<'h>(&self, headers: &'h HeaderMap) -> Option<&'h HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        self.0.iter().any(|allowed| allowed.covers(origin.as_bytes())).then_some(origin)
    }

    /// Returns whether a request is the preflight request of an origin that is not allowed.
    pub(crate) fn refuses(&self, method: &Method, headers: &HeaderMap) -> bool {
        method == Method::OPTIONS
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
            && headers.contains_key(ORIGIN)
            && self.allowed(headers).is_none()
    }

    /// Answers a preflight request; none if the request is no preflight, or its origin is not allowed.
    pub(crate) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response<Body>> {
        if method != Method::OPTIONS || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        let origin = self.allowed(headers)?;
        let mut response = Response::new(Body::empty());
        Self::show(origin, response.headers_mut());
        let told = response.headers_mut();
        told.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, PUT, DELETE"));
        told.insert(ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED.clone());
        told.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        Some(response)
    }

    /// Lets a page of this origin read an answer.
    pub(crate) fn show(origin: &HeaderValue, answer: &mut HeaderMap) {
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED.clone());
    }

    /// Tells caches that answers differ by origin, once there are origins whose pages may call: also of an answer to a
    /// request without one, which a cache would show to a page else.
    pub(crate) fn vary(&self, answer: &mut HeaderMap) {
        if !self.0.is_empty() {
            answer.append(VARY, HeaderValue::from_static("origin"));
        }
    }
}

//! Serves the page at `/docs`: the interactive reference of the API, and a starting guide. All of it is embedded in the binary,
//! so that it works without a network.

mod asset;

use asset::Asset;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap,
    HeaderName, IF_NONE_MATCH, LOCATION, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use kernel::EntityTags;
use tonic::body::Body;

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";

static PAGE: Asset = Asset::own(include_bytes!("../docs/index.html"), "text/html; charset=utf-8");
static STYLE: Asset = Asset::own(include_bytes!("../docs/style.css"), CSS);
static SCRIPT: Asset = Asset::own(include_bytes!("../docs/page.js"), JAVASCRIPT);
static LOGIN: Asset = Asset::own(include_bytes!("../docs/login.js"), JAVASCRIPT);
static REFERENCE: Asset = Asset::own(include_bytes!("../docs/reference.js"), JAVASCRIPT);
static EVENTS: Asset = Asset::own(include_bytes!("../docs/events.js"), JAVASCRIPT);
static INSIGHTS: Asset = Asset::own(include_bytes!("../docs/insights.js"), JAVASCRIPT);
static VIOLATIONS: Asset = Asset::own(include_bytes!("../docs/violations.js"), JAVASCRIPT);
static ICON: Asset = Asset::own(include_bytes!("../docs/icon.svg"), "image/svg+xml");
static LIBRARY_SCRIPT: Asset =
    Asset::gzip(include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui-bundle.js.gz")), JAVASCRIPT);
static LIBRARY_STYLE: Asset = Asset::gzip(include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui.css.gz")), CSS);
/// The OpenAPI document. RFC 9512 defines its media type.
static DOCUMENT: Asset = Asset::own(include_bytes!("../openapi/swagger.yaml"), "application/yaml");

/// Content security policy of the page: resources and calls of its own origin only. The library's icons are data URLs in its
/// style.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

const WITH_EVERY_ANSWER: [(HeaderName, &str); 4] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    // Cached, but revalidated on each use: another version of the binary has other files.
    (CACHE_CONTROL, "no-cache"),
];

/// Returns the answer to a request for the page or a part of it, and its route for telemetry; none for any other request.
pub(crate) fn answer(parts: &Parts) -> Option<(&'static str, Response<Body>)> {
    if parts.method != Method::GET && parts.method != Method::HEAD {
        return None;
    }
    let (route, asset) = match parts.uri.path() {
        "/" => return Some(("/", redirect())),
        "/docs/" => return Some(("/docs/", redirect())),
        "/docs" => ("/docs", &PAGE),
        "/docs/style.css" => ("/docs/style.css", &STYLE),
        "/docs/page.js" => ("/docs/page.js", &SCRIPT),
        "/docs/login.js" => ("/docs/login.js", &LOGIN),
        "/docs/reference.js" => ("/docs/reference.js", &REFERENCE),
        "/docs/events.js" => ("/docs/events.js", &EVENTS),
        "/docs/insights.js" => ("/docs/insights.js", &INSIGHTS),
        "/docs/violations.js" => ("/docs/violations.js", &VIOLATIONS),
        "/docs/icon.svg" => ("/docs/icon.svg", &ICON),
        "/docs/swagger-ui.js" => ("/docs/swagger-ui.js", &LIBRARY_SCRIPT),
        "/docs/swagger-ui.css" => ("/docs/swagger-ui.css", &LIBRARY_STYLE),
        "/openapi.yaml" => ("/openapi.yaml", &DOCUMENT),
        _ => return None,
    };
    Some((route, show(asset, parts)))
}

fn show(asset: &'static Asset, parts: &Parts) -> Response<Body> {
    let gzip = accepts_gzip(&parts.headers);
    let tag = asset.tag(gzip);
    let mut response = Response::new(Body::empty());
    let unchanged = matches_etag(&parts.headers, tag);
    let headers = response.headers_mut();
    headers.extend(WITH_EVERY_ANSWER.map(|(name, value)| (name, HeaderValue::from_static(value))));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(ETAG, tag.clone());
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    if gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    *response.body_mut() = Body::new(Full::new(asset.bytes(gzip)));
    response
}

fn redirect() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    let headers = response.headers_mut();
    headers.extend(WITH_EVERY_ANSWER.map(|(name, value)| (name, HeaderValue::from_static(value))));
    headers.insert(LOCATION, HeaderValue::from_static("/docs"));
    response
}

/// Returns whether `accept-encoding` names gzip, or else everything, and doesn't refuse it (RFC 9110, section 12.5.3).
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let takes = |name: &str| {
        let codings = headers.get_all(ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
        codings.flat_map(|value| value.split(',')).find_map(|coding| {
            let (coding, weight) = coding.split_once(';').unwrap_or((coding, ""));
            coding.trim().eq_ignore_ascii_case(name).then(|| !is_zero_weight(weight))
        })
    };
    takes("gzip").or_else(|| takes("*")).unwrap_or(false)
}

/// Returns whether a weight is `q=0`.
fn is_zero_weight(weight: &str) -> bool {
    weight.split_once('=').is_some_and(|(_, q)| q.trim().parse().is_ok_and(|q: f32| q <= 0.0))
}

/// Returns whether `if-none-match` has this tag or `*` (RFC 9110, section 13.1.2).
fn matches_etag(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let known: Vec<_> = headers.get_all(IF_NONE_MATCH).iter().map(HeaderValue::as_bytes).collect();
    let opaque = tag.to_str().unwrap_or_default().trim_matches('"');
    EntityTags::parse(&known.join(&b',')).is_ok_and(|known| known.has(opaque))
}

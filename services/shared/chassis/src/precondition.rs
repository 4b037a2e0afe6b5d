use http::{HeaderMap, HeaderValue};
use kernel::{EntityTags, Error, Expected, FieldError, FieldReason, MalformedEntityTags};
use proto::{Rpc, Versioned};
use tonic::metadata::MetadataValue;

use crate::answer::HTTP_CODE;
use crate::stage::{Inner, Request, Response, Stage, forward};
use crate::status::to_status;

/// The header with the etags that a change expects (RFC 9110, section 13.1.1).
pub const IF_MATCH: &str = "if-match";
/// The header with the etags that a reader knows already (RFC 9110, section 13.1.2).
pub const IF_NONE_MATCH: &str = "if-none-match";
/// The metadata with the etag of what is answered, in quotes (RFC 9110, section 8.8.3).
pub const ETAG: &str = "etag";

/// Returns an answer whose etag stands in its metadata too.
#[must_use]
pub fn tagged<T: Versioned>(message: T) -> tonic::Response<T> {
    let tag = Some(message.etag()).filter(|etag| !etag.is_empty()).map(|etag| format!("\"{etag}\""));
    let mut response = tonic::Response::new(message);
    if let Some(tag) = tag.and_then(|tag| MetadataValue::try_from(tag).ok()) {
        response.metadata_mut().insert(ETAG, tag);
    }
    response
}

/// Reads the preconditions of a request: `If-Match` for the code that changes what it names, and `If-None-Match`, by which
/// a front answers 304 instead of what the caller knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PreconditionStage;

impl Stage for PreconditionStage {
    const NAME: &'static str = "precondition";

    async fn handle<S: Inner>(self, mut request: Request, inner: S) -> Response {
        let Some(rpc) = Rpc::find(request.uri().path()) else { return forward(inner, request).await };
        let Preconditions { expected, known } = match Preconditions::of(rpc, request.headers()) {
            Ok(preconditions) => preconditions,
            Err(error) => return to_status(error).into_http(),
        };
        request.extensions_mut().insert(expected);
        let mut response = forward(inner, request).await;
        if known.is_some_and(|known| opaque(response.headers()).is_some_and(|etag| known.has(etag))) {
            response.headers_mut().insert(HTTP_CODE, HeaderValue::from_static("304"));
        }
        response
    }
}

#[derive(Debug)]
struct Preconditions {
    /// Expectation of a change.
    expected: Expected,
    /// Etags that a reader knows.
    known: Option<EntityTags>,
}

impl Preconditions {
    /// Reads the preconditions that an RPC takes.
    ///
    /// # Errors
    /// INVALID_ARGUMENT on a header that is malformed, or that the RPC would have to ignore.
    fn of(rpc: &Rpc, headers: &HeaderMap) -> Result<Self, Error> {
        let expected = tags(headers, IF_MATCH, "If-Match")?;
        if expected.is_some() && !rpc.takes_if_match {
            let excess = "must be left out: only a change of what has an etag takes it";
            return Err(Error::invalid("If-Match", FieldError::new(FieldReason::NotAllowed, excess)));
        }
        if headers.contains_key(IF_NONE_MATCH) && !rpc.reads {
            let excess = "must be left out: only reading takes it";
            return Err(Error::invalid("If-None-Match", FieldError::new(FieldReason::NotAllowed, excess)));
        }
        let known = if rpc.answers_etag { tags(headers, IF_NONE_MATCH, "If-None-Match")? } else { None };
        Ok(Self { expected: expected.map(Expected::from).unwrap_or_default(), known })
    }
}

/// Returns the entity tags of all headers of this name.
fn tags(headers: &HeaderMap, header: &str, name: &'static str) -> Result<Option<EntityTags>, Error> {
    let values: Vec<_> = headers.get_all(header).iter().map(HeaderValue::as_bytes).collect();
    if values.is_empty() {
        return Ok(None);
    }
    let tags = EntityTags::parse(&values.join(&b','));
    let malformed = |error: MalformedEntityTags| FieldError::of(FieldReason::Malformed, error.to_string());
    tags.map(Some).map_err(|error| Error::invalid(name, malformed(error)))
}

/// Returns the etag of an answer, without its quotes.
fn opaque(headers: &HeaderMap) -> Option<&str> {
    headers.get(ETAG)?.to_str().ok()?.strip_prefix('"')?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex};

    use proto::clients::v1::Client;
    use tonic::body::Body;
    use tonic::{Code, Status};
    use tonic_types::StatusExt as _;

    use super::*;

    const UPDATE: &str = "/therapy.clients.v1.ClientService/UpdateClient";
    const DELETE: &str = "/therapy.sessions.v1.SessionService/DeleteSession";
    const GET: &str = "/therapy.clients.v1.ClientService/GetClient";
    const CREATE: &str = "/therapy.clients.v1.ClientService/CreateClient";
    const END: &str = "/therapy.mapping.v1.MappingService/EndMapping";

    /// Returns what the service was told to expect, if it was asked, and its answer with this etag.
    async fn call(path: &str, headers: &[(&'static str, &str)], etag: &str) -> (Option<Expected>, Response) {
        let seen = Arc::new(Mutex::new(None));
        let (told, etag) = (Arc::clone(&seen), etag.to_owned());
        let inner = tower::service_fn(move |request: Request| {
            *told.lock().unwrap() = request.extensions().get::<Expected>().cloned();
            let (metadata, ..) = tagged(Client { etag: etag.clone(), ..Client::default() }).into_parts();
            let mut response = http::Response::new(Body::empty());
            *response.headers_mut() = metadata.into_headers();
            async move { Ok::<_, Infallible>(response) }
        });
        let mut request = http::Request::builder().uri(path).body(Body::empty()).unwrap();
        for (name, value) in headers {
            request.headers_mut().append(*name, HeaderValue::from_str(value).unwrap());
        }
        let response = PreconditionStage.handle(request, inner).await;
        let seen = seen.lock().unwrap().clone();
        (seen, response)
    }

    fn one_of(etags: &[&str]) -> Expected {
        Expected::OneOf(etags.iter().map(|etag| etag.as_bytes().to_vec()).collect())
    }

    #[tokio::test]
    async fn if_match_reaches_changes_of_what_has_an_etag() {
        for (path, headers, expected) in [
            (UPDATE, &[][..], Expected::Anything),
            (UPDATE, &[("if-match", "\"1\"")], one_of(&["1"])),
            (UPDATE, &[("if-match", "\"1\", W/\"2\""), ("if-match", "\"3\"")], one_of(&["1", "3"])),
            (DELETE, &[("if-match", "*")], Expected::Existing),
            (DELETE, &[("if-match", "W/\"1\"")], one_of(&[])),
        ] {
            assert_eq!(call(path, headers, "1").await.0, Some(expected), "{path} {headers:?}");
        }
    }

    #[tokio::test]
    async fn precondition_that_would_be_ignored_is_rejected() {
        for (path, headers, name) in [
            (UPDATE, &[("if-match", "1")][..], "If-Match"),
            (UPDATE, &[("if-match", "")], "If-Match"),
            (UPDATE, &[("if-match", "*"), ("if-match", "\"1\"")], "If-Match"),
            (UPDATE, &[("if-none-match", "*")], "If-None-Match"),
            (CREATE, &[("if-match", "*")], "If-Match"),
            (CREATE, &[("if-none-match", "*")], "If-None-Match"),
            (END, &[("if-match", "*")], "If-Match"),
            (GET, &[("if-match", "\"1\"")], "If-Match"),
            (GET, &[("if-none-match", "1")], "If-None-Match"),
        ] {
            let (seen, response) = call(path, headers, "1").await;
            let status = Status::from_header_map(response.headers()).unwrap();
            let fields: Vec<_> =
                status.get_details_bad_request().unwrap().field_violations.into_iter().map(|bad| bad.field).collect();
            assert_eq!((status.code(), fields, seen), (Code::InvalidArgument, vec![name.to_owned()], None), "{path}");
        }
    }

    #[tokio::test]
    async fn known_etag_is_marked_as_not_modified() {
        for (header, etag, is_known) in [
            ("\"1\"", "1", true),
            ("W/\"1\"", "1", true),
            ("\"0\", \"1\"", "1", true),
            ("*", "1", true),
            ("\"2\"", "1", false),
            ("*", "", false),
            ("\"\"", "", false),
        ] {
            let (_, response) = call(GET, &[("if-none-match", header)], etag).await;
            let code = response.headers().get(HTTP_CODE).map(HeaderValue::as_bytes);
            assert_eq!(code, is_known.then_some(&b"304"[..]), "{header} {etag}");
            let shown = response.headers().get(ETAG).map(|tag| tag.to_str().unwrap().to_owned());
            assert_eq!(shown, (!etag.is_empty()).then(|| format!("\"{etag}\"")));
        }
    }
}

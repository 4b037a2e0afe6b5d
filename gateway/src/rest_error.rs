//! Errors of REST: `google.rpc.Status` as JSON, both of the services and of the front itself.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use http_body_util::Full;
use kernel::{Error, Kind};
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use transport::Unread;

use crate::json::{put_integer, put_string};
use crate::schema::Schema;
use crate::transcode::Printer;
use crate::wire::{Cursor, DecodeError, Raw};

/// Error of the front itself.
#[derive(Debug)]
pub(crate) struct RestError {
    error: Error,
    /// The HTTP status, where the code does not decide it.
    http: Option<StatusCode>,
}

impl RestError {
    /// Returns the error for a method and path without a route. Envoy answers the same for a known path with another
    /// method.
    pub(crate) fn no_route() -> Self {
        Error::new(Kind::NotFound, "ROUTE_NOT_FOUND", "there is nothing at this path for this method").into()
    }

    /// Returns the error for a request that can be read in more than one way.
    pub(crate) fn malformed() -> Self {
        let message = "the path, the query or a header is malformed, or can be read in more than one way";
        Error::new(Kind::InvalidArgument, "MALFORMED_REQUEST", message).into()
    }

    /// Returns the error for a host that the front does not answer to.
    pub(crate) fn foreign_host() -> Self {
        let message = "host: this is no name of this front; its operator lists those that it answers to";
        Error::new(Kind::PermissionDenied, "HOST_NOT_ALLOWED", message).into()
    }

    /// Returns the error for the preflight request of an origin whose pages may not call.
    pub(crate) fn foreign_origin() -> Self {
        let message = "origin: pages of this origin may not call; the operator allows them by MESH_CORS_ORIGINS, or \
                       --cors-origins of Envoy's configuration";
        Error::new(Kind::PermissionDenied, "ORIGIN_NOT_ALLOWED", message).into()
    }

    pub(crate) fn body_too_large(limit: usize) -> Self {
        let message = format!("the body is larger than {limit} bytes");
        let error = Error::new(Kind::InvalidArgument, "BODY_TOO_LARGE", message);
        Self { error, http: Some(StatusCode::PAYLOAD_TOO_LARGE) }
    }

    pub(crate) fn not_json() -> Self {
        let message = "a body is sent as content-type: application/json, without content-encoding";
        Error::new(Kind::InvalidArgument, "UNSUPPORTED_CONTENT_TYPE", message).into()
    }

    /// Returns the error for a REST body that was not read to its end.
    pub(crate) fn unread(unread: &Unread, limit: usize) -> Self {
        match unread {
            Unread::TooLarge => Self::body_too_large(limit),
            Unread::TooSlow => Self::body_too_slow(),
            Unread::Replaced | Unread::Broken => unread.error().map_or_else(Self::broken_body, Self::from),
        }
    }

    /// Returns the error for a body that its client broke off; the client does not read the answer.
    pub(crate) fn broken_body() -> Self {
        Error::new(Kind::InvalidArgument, "BODY_INCOMPLETE", "the body ended too early").into()
    }

    pub(crate) fn two_credentials() -> Self {
        Error::new(Kind::Unauthenticated, "CREDENTIALS_AMBIGUOUS", "send exactly one authorization header").into()
    }

    pub(crate) fn two_keys() -> Self {
        Error::new(Kind::InvalidArgument, "MALFORMED_REQUEST", "send at most one idempotency-key header").into()
    }

    pub(crate) fn deadline_exceeded() -> Self {
        Error::new(Kind::DeadlineExceeded, "DEADLINE_EXCEEDED", "the time given to the request is over").into()
    }

    /// Returns the error for a body that did not arrive in time.
    pub(crate) fn body_too_slow() -> Self {
        Self { http: Some(StatusCode::REQUEST_TIMEOUT), ..Self::deadline_exceeded() }
    }

    /// Returns the error of streams that end at shutdown.
    pub(crate) fn stopping() -> Self {
        Error::unavailable("the front stops").into()
    }

    /// Returns the error for a service's message that is not an answer of its RPC.
    pub(crate) fn broken_answer() -> Self {
        Error::internal("a service sent what is no answer of its RPC").into()
    }

    /// Converts the error to a gRPC status.
    pub(crate) fn into_status(self) -> Status {
        chassis::to_status(self.error)
    }

    /// Converts the error to an HTTP response.
    pub(crate) fn into_response(self, schema: &Schema) -> Response<Body> {
        let http = self.http;
        let mut response = response(schema, &self.into_status());
        if let Some(http) = http {
            *response.status_mut() = http;
        }
        response
    }
}

impl From<Error> for RestError {
    fn from(error: Error) -> Self {
        Self { error, http: None }
    }
}

/// Returns the HTTP response of a failed call.
pub(crate) fn response(schema: &Schema, status: &Status) -> Response<Body> {
    let known;
    let status = if status.details().is_empty() {
        known = chassis::to_status(without_details(status));
        &known
    } else {
        status
    };
    let mut json = Vec::with_capacity(256);
    print(schema, status, &mut json);

    let mut response = Response::new(Body::new(Full::new(Bytes::from(json))));
    *response.status_mut() =
        StatusCode::from_u16(proto::code::http_status(status.code())).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if matches!(status.code(), Code::ResourceExhausted | Code::Unavailable)
        && let Some(seconds) = retry_seconds(status)
    {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    if status.code() == Code::Unauthenticated {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// Maps a status without details, which a framework made, to our error model. Its message is dropped: it may reveal
/// internals.
fn without_details(status: &Status) -> Error {
    let cause = format!("an answer without details: {status:?}");
    match status.code() {
        Code::Unavailable => Error::unavailable(cause),
        Code::DeadlineExceeded => RestError::deadline_exceeded().error,
        Code::Cancelled => Error::new(Kind::DeadlineExceeded, "CANCELLED", "the call was given up"),
        Code::Unimplemented => Error::new(Kind::Unimplemented, "UNIMPLEMENTED", "this is not served"),
        Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => {
            Error::new(Kind::InvalidArgument, "INVALID_ARGUMENT", "the request is not valid").caused_by(cause)
        }
        Code::Unauthenticated => Error::new(Kind::Unauthenticated, "UNAUTHENTICATED", "who is calling is not known"),
        Code::PermissionDenied => Error::new(Kind::PermissionDenied, "PERMISSION_DENIED", "this is not allowed"),
        Code::NotFound => Error::new(Kind::NotFound, "NOT_FOUND", "there is no such thing"),
        Code::AlreadyExists => Error::new(Kind::AlreadyExists, "ALREADY_EXISTS", "there is one already"),
        Code::Aborted => Error::new(Kind::Aborted, "ABORTED", "somebody else was faster"),
        Code::ResourceExhausted => Error::new(Kind::ResourceExhausted, "RESOURCE_EXHAUSTED", "too much was asked"),
        Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => Error::internal(cause),
    }
}

/// Appends `{code, message, details}`.
fn print(schema: &Schema, status: &Status, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"code\":");
    put_integer(out, i32::from(status.code()));
    out.extend_from_slice(b",\"message\":");
    put_string(out, status.message());
    out.extend_from_slice(b",\"details\":[");
    // Details that are no google.rpc.Status, which no service of ours sends, are left out.
    let _ = print_details(schema, status.details(), out);
    out.extend_from_slice(b"]}");
}

fn print_details(schema: &Schema, encoded: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let any = schema.find("google.protobuf.Any").ok_or(DecodeError)?;
    let mut cursor = Cursor::new(encoded);
    while !cursor.is_done() {
        let (number, wire_type) = cursor.tag()?;
        let Raw::Bytes(detail) = cursor.value(wire_type)? else { continue };
        if number != DETAILS_FIELD {
            continue;
        }
        let mark = out.len();
        if out.last() != Some(&b'[') {
            out.push(b',');
        }
        // A detail of a type that is not known here is left out.
        if Printer::new(schema).message(any, detail, out).is_err() {
            out.truncate(mark);
        }
    }
    Ok(())
}

/// The number of `google.rpc.Status.details`.
const DETAILS_FIELD: u32 = 3;

/// Returns the retry delay of the details in seconds, rounded up.
fn retry_seconds(status: &Status) -> Option<u64> {
    let wait = status.get_details_retry_info()?.retry_delay?;
    Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
}

//! Answers REST requests: reads the body, calls the RPC, and writes its answer as HTTP.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use http_body_util::Full;
use kernel::Error;
use tokio::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};
use transport::Holders;

use crate::admission::{Kind, until_its_end};
use crate::bind::bind;
use crate::deadline::Deadline;
use crate::frames::{Frames, PREFIX, close_frame};
use crate::metadata::{self, GRPC_TIMEOUT, timeout_value};
use crate::rest_error::{self, RestError};
use crate::route::{BodyRule, Route, Segments, Success};
use crate::shared::{Shared, peer};
use crate::stream::{RawStream, raw};
use crate::transcode::Printer;

/// Margin before the deadline within which CANCELLED of a service means that the deadline is exceeded.
const DEADLINE_MARGIN: Duration = Duration::from_millis(50);

/// Failure of a REST request.
pub(crate) enum Failure {
    /// Error of the front itself.
    Refused(RestError),
    /// Status of the service.
    Failed(Status),
}

impl<T: Into<RestError>> From<T> for Failure {
    fn from(error: T) -> Self {
        Self::Refused(error.into())
    }
}

/// Answers a request that has a route.
pub(crate) async fn answer(
    front: &Arc<Shared>,
    route: &Route,
    segments: &Segments<'_>,
    parts: &Parts,
    body: Body,
) -> Response<Body> {
    let timeout = if route.streams { front.limits.stream_timeout } else { front.limits.request_timeout };
    let deadline = Instant::now() + timeout;
    let answer = tokio::time::timeout_at(deadline, call(front, route, segments, parts, body, deadline)).await;
    let schema = &front.table.schema;
    match answer.unwrap_or_else(|_| Err(RestError::deadline_exceeded().into())) {
        Ok(response) => response,
        Err(Failure::Refused(error)) => error.into_response(schema),
        // Some servers answer CANCELLED when the deadline of a call is exceeded.
        Err(Failure::Failed(status))
            if status.code() == Code::Cancelled && Instant::now() + DEADLINE_MARGIN >= deadline =>
        {
            RestError::deadline_exceeded().into_response(schema)
        }
        Err(Failure::Failed(status)) => rest_error::response(schema, &status),
    }
}

async fn call(
    front: &Arc<Shared>,
    route: &Route,
    segments: &Segments<'_>,
    parts: &Parts,
    body: Body,
    deadline: Instant,
) -> Result<Response<Body>, Failure> {
    let mut headers = metadata::of_rest(&parts.headers, peer(&parts.extensions), &front.proxies)?;
    let source = front.source(parts);
    let body = read_body(front, route, &parts.headers, body, source);
    let body = tokio::time::timeout_at(deadline, body).await.unwrap_or_else(|_| Err(RestError::body_too_slow()))?;
    let mut frame = Vec::with_capacity(PREFIX + body.len() + parts.uri.query().map_or(0, str::len) + 64);
    frame.resize(PREFIX, 0);
    bind(&front.table.schema, route, segments.as_slice(), parts.uri.query(), &body, &mut frame)?;
    close_frame(&mut frame);
    let kind = Kind::of(route.rpc.path(), route.streams, frame.get(PREFIX..).unwrap_or_default());
    let held = front.admission.admit(kind, source)?;
    headers.insert(GRPC_TIMEOUT, timeout_value(deadline.saturating_duration_since(Instant::now())));

    let mut request = Request::new(Body::new(Full::new(Bytes::from(frame))));
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = Uri::from(route.rpc.clone());
    *request.headers_mut() = headers;
    let upstream = front.upstream(&route.service).ok_or_else(|| Error::internal("a service has no upstream"))?;
    let (answered, body) = upstream.call(kind, request).await?.into_parts();

    if answered.status != StatusCode::OK {
        return Err(Error::unavailable(format!("a service answered {}", answered.status)).into());
    }
    if let Some(status) = Status::from_header_map(&answered.headers)
        && status.code() != Code::Ok
    {
        return Err(Failure::Failed(status));
    }
    let frames = Frames::new(&answered.headers, body);
    let frames = if route.streams { frames.until(Deadline::of_stream(deadline, &front.stop)) } else { frames };
    let response = succeed(front, route, &answered.headers, frames).await?;
    Ok(if route.streams { response.map(|body| until_its_end(body, held)) } else { response })
}

/// Reads the request's body; empty if the route takes none.
async fn read_body(
    front: &Shared,
    route: &Route,
    headers: &HeaderMap,
    body: Body,
    source: Holders,
) -> Result<Bytes, RestError> {
    let most = front.limits.max_body;
    if route.body == BodyRule::Ignored || body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > most {
        return Err(RestError::body_too_large(most));
    }
    let body = front.admission.read(body, source, most).await;
    let body = body.map_err(|unread| RestError::unread(&unread, most))?;
    if body.is_empty() || is_json(headers) { Ok(body) } else { Err(RestError::not_json()) }
}

/// Returns whether a body is JSON without content coding. A body without a type counts as JSON.
fn is_json(headers: &HeaderMap) -> bool {
    if headers.get(CONTENT_ENCODING).is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return false;
    }
    let Some(value) = headers.get(CONTENT_TYPE) else { return true };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

async fn succeed(
    front: &Arc<Shared>,
    route: &Route,
    answered: &HeaderMap,
    mut frames: Frames,
) -> Result<Response<Body>, Failure> {
    let mut response = match route.success {
        Success::Raw => match first(&mut frames).await? {
            Some(part) => {
                let (content_type, data) = raw(&part).map_err(|_| RestError::broken_answer())?;
                let rest = if route.streams {
                    Body::new(RawStream::new(&content_type, data, frames))
                } else {
                    finish(&mut frames).await?;
                    Body::new(Full::new(data))
                };
                with_type(rest, content_type)
            }
            None => with_type(Body::empty(), HeaderValue::from_static("application/octet-stream")),
        },
        Success::Message(_) | Success::Field(..) => {
            let message = first(&mut frames).await?.ok_or_else(RestError::broken_answer)?;
            finish(&mut frames).await?;
            let json = print(front, route.success, &message)?;
            with_type(Body::new(Full::new(json)), HeaderValue::from_static("application/json"))
        }
    };
    match answered.get(chassis::HTTP_CODE).map(HeaderValue::as_bytes) {
        Some(b"201") => *response.status_mut() = StatusCode::CREATED,
        Some(b"202") => *response.status_mut() = StatusCode::ACCEPTED,
        Some(b"204") => {
            *response.status_mut() = StatusCode::NO_CONTENT;
            *response.body_mut() = Body::empty();
            response.headers_mut().remove(CONTENT_TYPE);
        }
        _ => {}
    }
    metadata::copy_response(answered, response.headers_mut());
    Ok(response)
}

async fn first(frames: &mut Frames) -> Result<Option<Bytes>, Failure> {
    frames.next().await.map_err(Failure::Failed)
}

/// Reads the end of a unary call: its status, and no second message.
async fn finish(frames: &mut Frames) -> Result<(), Failure> {
    match first(frames).await? {
        None => Ok(()),
        Some(_) => Err(RestError::broken_answer().into()),
    }
}

fn print(front: &Shared, success: Success, message: &[u8]) -> Result<Bytes, RestError> {
    // JSON repeats every name: a list of small objects grows to about twice its size.
    let mut json = Vec::with_capacity(message.len() * 2 + 256);
    let mut printer = Printer::new(&front.table.schema);
    let printed = match success {
        Success::Message(id) => printer.message(id, message, &mut json),
        Success::Field(id, slot) => printer.field_of(id, slot, message, &mut json),
        Success::Raw => Ok(()),
    };
    printed.map_err(|_| RestError::broken_answer())?;
    Ok(Bytes::from(json))
}

fn with_type(body: Body, content_type: HeaderValue) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

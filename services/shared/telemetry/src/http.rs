//! The REST edge: a server span and `http.server.request.duration` for each HTTP request.
//!
//! ```ignore
//! let mut call = HttpCall::start(request.method(), request.headers());
//! call.route(route.template); // once it is known
//! let context = call.context().clone();
//! let response = answer(request).with_context(context).await; // opentelemetry::trace::FutureExt
//! Ok(call.wrap(response))
//! ```
//!
//! The path, the query and the peer's address are left out although the conventions name them: paths hold ids of
//! people.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Instant;

use ::http::{HeaderMap, Method, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use kernel::RequestId;
use opentelemetry::trace::{SpanBuilder, SpanKind, Status, TraceContextExt};
use opentelemetry::{Context, KeyValue, StringValue};
use pin_project_lite::pin_project;

use crate::semconv::{self, OTHER, instruments};
use crate::{propagation, request_id, span};

/// Request in flight. If it is dropped before it was answered, it was cancelled.
#[derive(Debug)]
pub struct HttpCall {
    context: Context,
    request_id: RequestId,
    method: &'static str,
    route: Option<StringValue>,
    started: Instant,
    status: Option<StatusCode>,
    quiet: bool,
    ended: bool,
}

impl HttpCall {
    /// Starts the span of a request, under the parent that its headers name. Its id is the one in `x-request-id`, if that is
    /// well-formed, else a new one.
    #[must_use]
    pub fn start(method: &Method, headers: &HeaderMap) -> Self {
        let method = known(method);
        let request_id = request_id::extract(headers);
        let parent = propagation::extract(headers).with_value(request_id.clone());
        let builder = SpanBuilder::from_name(if method == OTHER { "HTTP" } else { method })
            .with_kind(SpanKind::Server)
            .with_attributes([
                KeyValue::new(semconv::HTTP_REQUEST_METHOD, method),
                KeyValue::new(semconv::URL_SCHEME, "http"),
            ]);
        Self {
            context: span::start(builder, &parent),
            request_id,
            method,
            route: None,
            started: Instant::now(),
            status: None,
            quiet: false,
            ended: false,
        }
    }

    /// Names the route that serves the request: its template, such as `/clients/{clientId}`, never its path.
    pub fn route(&mut self, template: impl Into<StringValue>) {
        let template = template.into();
        let span = self.context.span();
        if span.is_recording() {
            span.update_name(format!("{} {}", self.method, template.as_str()));
            span.set_attribute(KeyValue::new(semconv::HTTP_ROUTE, template.clone()));
        }
        self.route = Some(template);
    }

    /// Logs the request for debugging only: for probes of orchestrators.
    pub fn quiet(&mut self) {
        self.quiet = true;
    }

    /// The context whose span is this request, for what is done on its behalf.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Returns the id of the request.
    #[must_use]
    pub const fn request_id(&self) -> &RequestId {
        &self.request_id
    }

    /// Ends the request with the end of the answer's body, or, if the client hangs up, when that is dropped.
    pub fn wrap<B: Body>(mut self, response: Response<B>) -> Response<HttpBody<B>> {
        self.status = Some(response.status());
        // A server doesn't poll a body that it will not send.
        if self.method == "HEAD" || response.body().is_end_stream() {
            self.record(false);
        }
        response.map(|inner| HttpBody { inner, call: Some(self) })
    }

    /// Ends the request now.
    pub fn end(mut self, status: StatusCode) {
        self.status = Some(status);
        self.record(false);
    }

    fn record(&mut self, cancelled: bool) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let elapsed = self.started.elapsed();
        let error = match self.status {
            Some(status) if status.is_server_error() => Some(StringValue::from(status.as_str().to_owned())),
            _ if cancelled => Some(StringValue::from("cancelled")),
            _ => None,
        };
        let status = self.status.map(|status| i64::from(status.as_u16()));
        instruments().http_server.record(elapsed.as_secs_f64(), &self.attributes(status, error.as_ref()));
        self.log(status, semconv::millis(elapsed));
        let span = self.context.span();
        if span.is_recording() {
            span.set_attributes(status.map(|status| KeyValue::new(semconv::HTTP_RESPONSE_STATUS_CODE, status)));
            if let Some(error) = error {
                span.set_attribute(KeyValue::new(semconv::ERROR_TYPE, error));
                span.set_status(Status::error(""));
            }
        }
        span.end();
    }

    fn attributes(&self, status: Option<i64>, error: Option<&StringValue>) -> Vec<KeyValue> {
        let mut attributes = Vec::with_capacity(5);
        attributes.push(KeyValue::new(semconv::HTTP_REQUEST_METHOD, self.method));
        attributes.push(KeyValue::new(semconv::URL_SCHEME, "http"));
        attributes.extend(self.route.clone().map(|route| KeyValue::new(semconv::HTTP_ROUTE, route)));
        attributes.extend(status.map(|status| KeyValue::new(semconv::HTTP_RESPONSE_STATUS_CODE, status)));
        attributes.extend(error.cloned().map(|error| KeyValue::new(semconv::ERROR_TYPE, error)));
        attributes
    }

    fn log(&self, status: Option<i64>, duration_ms: f64) {
        let _entered = self.context.clone().attach();
        let route = self.route.as_ref().map_or(OTHER, StringValue::as_str);
        if self.quiet {
            tracing::debug!(target: "access", method = self.method, route, status, duration_ms, "http");
        } else {
            tracing::info!(target: "access", method = self.method, route, status, duration_ms, "http");
        }
    }
}

impl Drop for HttpCall {
    fn drop(&mut self) {
        self.record(true);
    }
}

/// The methods that RFC 9110 and RFC 5789 define; every other one counts as `_OTHER`.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "CONNECT" => "CONNECT",
        "OPTIONS" => "OPTIONS",
        "TRACE" => "TRACE",
        "PATCH" => "PATCH",
        _ => OTHER,
    }
}

pin_project! {
    /// A body that ends its request when it ends.
    #[derive(Debug)]
    pub struct HttpBody<B> {
        #[pin]
        inner: B,
        call: Option<HttpCall>,
    }
}

impl<B: Body> Body for HttpBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = {
            let _entered = this.call.as_ref().map(|call| call.context.clone().attach());
            ready!(this.inner.as_mut().poll_frame(cx))
        };
        let (last, broken) = match &frame {
            // A server does not ask again after trailers, nor after what the body calls its end.
            Some(Ok(frame)) => (frame.is_trailers() || this.inner.is_end_stream(), false),
            Some(Err(_)) => (true, true),
            None => (true, false),
        };
        if last && let Some(mut call) = this.call.take() {
            call.record(broken);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

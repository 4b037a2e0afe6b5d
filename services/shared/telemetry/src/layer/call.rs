//! One call, from its first header to its end, on either side.

use std::time::{Duration, Instant};

use opentelemetry::trace::{SpanBuilder, SpanKind, Status, TraceContextExt};
use opentelemetry::{Context, KeyValue, StringValue};
use tonic::Code;

use super::method::Method;
use super::server::CallerSlot;
use crate::semconv::{self, instruments};
use crate::span;

/// The server that a client calls, as its configuration names it.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) address: StringValue,
    pub(super) port: Option<u16>,
}

/// Side of the call.
#[derive(Debug)]
enum Side {
    Server(CallerSlot),
    Client(Peer),
}

/// Time by which a peer's timer may end earlier than ours.
const TIMER_SLACK: Duration = Duration::from_millis(1);

/// Call in flight. If it is dropped before it ended, it was cancelled, unless the caller's time was over.
#[derive(Debug)]
pub(super) struct Call {
    context: Context,
    method: Method,
    side: Side,
    started: Instant,
    /// The time that the caller gives.
    timeout: Option<Duration>,
    ended: bool,
}

impl Call {
    pub(super) fn incoming(parent: &Context, method: Method, timeout: Option<Duration>, caller: CallerSlot) -> Self {
        let attributes = Vec::from(common_attributes(method));
        Self::start(parent, method, timeout, Side::Server(caller), attributes)
    }

    pub(super) fn outgoing(parent: &Context, method: Method, timeout: Option<Duration>, peer: Peer) -> Self {
        let mut attributes = Vec::with_capacity(6);
        attributes.extend(common_attributes(method));
        attributes.push(KeyValue::new(semconv::SERVER_ADDRESS, peer.address.clone()));
        attributes.extend(peer.port.map(|port| KeyValue::new(semconv::SERVER_PORT, i64::from(port))));
        Self::start(parent, method, timeout, Side::Client(peer), attributes)
    }

    fn start(
        parent: &Context,
        method: Method,
        timeout: Option<Duration>,
        side: Side,
        attributes: Vec<KeyValue>,
    ) -> Self {
        let kind = match side {
            Side::Server(_) => SpanKind::Server,
            Side::Client(_) => SpanKind::Client,
        };
        let builder = SpanBuilder::from_name(method.span_name()).with_kind(kind).with_attributes(attributes);
        let context = span::start(builder, parent);
        Self { context, method, side, started: Instant::now(), timeout, ended: false }
    }

    /// The context whose span is this call.
    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    /// Ends the call; what comes after the first end is ignored.
    pub(super) fn end(&mut self, code: Code) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let elapsed = self.started.elapsed();
        let name = proto::code::name(code);
        let failed = match self.side {
            Side::Server(_) => semconv::is_server_fault(code),
            Side::Client(_) => code != Code::Ok,
        };
        self.measure(elapsed.as_secs_f64(), name, failed);
        if let Side::Server(caller) = &self.side {
            let _entered = self.context.clone().attach();
            access_log(self.method, name, semconv::millis(elapsed), caller.get());
        }
        let span = self.context.span();
        if span.is_recording() {
            span.set_attribute(KeyValue::new(semconv::RPC_RESPONSE_STATUS_CODE, name));
            if failed {
                span.set_attribute(KeyValue::new(semconv::ERROR_TYPE, name));
                span.set_status(Status::error(""));
            }
        }
        span.end();
    }

    /// Ends a call that got no answer from the transport.
    pub(super) fn fail(&mut self) {
        self.break_off(match self.side {
            Side::Server(_) => Code::Internal,
            Side::Client(_) => Code::Unavailable,
        });
    }

    /// Ends a call that has no status: because the caller's time was over, or else for `reason`.
    fn break_off(&mut self, reason: Code) {
        let late = self.timeout.is_some_and(|timeout| self.started.elapsed() + TIMER_SLACK >= timeout);
        self.end(if late { Code::DeadlineExceeded } else { reason });
    }

    fn measure(&self, seconds: f64, code: &'static str, failed: bool) {
        let [system, method] = common_attributes(self.method);
        let status = KeyValue::new(semconv::RPC_RESPONSE_STATUS_CODE, code);
        let error = KeyValue::new(semconv::ERROR_TYPE, code);
        match &self.side {
            Side::Server(_) if failed => instruments().rpc_server.record(seconds, &[system, method, status, error]),
            Side::Server(_) => instruments().rpc_server.record(seconds, &[system, method, status]),
            Side::Client(peer) => {
                let address = KeyValue::new(semconv::SERVER_ADDRESS, peer.address.clone());
                if failed {
                    instruments().rpc_client.record(seconds, &[system, method, status, address, error]);
                } else {
                    instruments().rpc_client.record(seconds, &[system, method, status, address]);
                }
            }
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.break_off(if std::thread::panicking() { Code::Internal } else { Code::Cancelled });
    }
}

fn common_attributes(method: Method) -> [KeyValue; 2] {
    [KeyValue::new(semconv::RPC_SYSTEM_NAME, "grpc"), KeyValue::new(semconv::RPC_METHOD, method.name)]
}

/// Writes the one line that each request leaves: never an id of a person, an address, or anything that was sent.
fn access_log(method: Method, code: &'static str, duration_ms: f64, caller: &'static str) {
    let method_name = method.name;
    if method.logged {
        tracing::info!(target: "access", method = method_name, code, duration_ms, caller, "rpc");
    } else {
        tracing::debug!(target: "access", method = method_name, code, duration_ms, caller, "rpc");
    }
}

//! The names that OpenTelemetry's semantic conventions 1.45 give (RPC and HTTP, both stable), and the instruments by
//! them.

use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::metrics::Histogram;
use tonic::Code;

pub(crate) const RPC_SYSTEM_NAME: &str = "rpc.system.name";
pub(crate) const RPC_METHOD: &str = "rpc.method";
pub(crate) const RPC_RESPONSE_STATUS_CODE: &str = "rpc.response.status_code";
pub(crate) const SERVER_ADDRESS: &str = "server.address";
pub(crate) const SERVER_PORT: &str = "server.port";
pub(crate) const ERROR_TYPE: &str = "error.type";
pub(crate) const HTTP_REQUEST_METHOD: &str = "http.request.method";
pub(crate) const HTTP_ROUTE: &str = "http.route";
pub(crate) const HTTP_RESPONSE_STATUS_CODE: &str = "http.response.status_code";
pub(crate) const URL_SCHEME: &str = "url.scheme";

/// Value that stands for all but a known few, so that callers can't add series.
pub(crate) const OTHER: &str = "_OTHER";

/// The conventions' bounds for durations, in seconds.
const SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Name of the instrumentation scope. Collectors know it from before this was a crate of its own.
const SCOPE: &str = "chassis";

/// Tracer and histograms of every layer of this process.
pub(crate) struct Instruments {
    pub(crate) tracer: BoxedTracer,
    pub(crate) rpc_server: Histogram<f64>,
    pub(crate) rpc_client: Histogram<f64>,
    pub(crate) http_server: Histogram<f64>,
}

/// The instruments of the providers that were installed when they were first asked for.
pub(crate) fn instruments() -> &'static Instruments {
    static INSTRUMENTS: OnceLock<Instruments> = OnceLock::new();
    INSTRUMENTS.get_or_init(|| {
        let meter = global::meter(SCOPE);
        let seconds = |name: &'static str, what: &'static str| {
            meter.f64_histogram(name).with_unit("s").with_description(what).with_boundaries(SECONDS.to_vec()).build()
        };
        Instruments {
            tracer: global::tracer(SCOPE),
            rpc_server: seconds("rpc.server.call.duration", "Measures the duration of an incoming RPC."),
            rpc_client: seconds("rpc.client.call.duration", "Measures the duration of an outgoing RPC."),
            http_server: seconds("http.server.request.duration", "Duration of HTTP server requests."),
        }
    })
}

/// Returns whether a status is the fault of the server, by the conventions for gRPC.
pub(crate) fn is_server_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// A duration as the log shows it: milliseconds, to the microsecond.
pub(crate) fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

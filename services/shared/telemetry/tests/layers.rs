//! Records of a call by the telemetry layers, on providers that keep them in memory.
//!
//! The providers are global, so each test has a trace of its own and looks at nothing else.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::sync::LazyLock;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use opentelemetry::global;
use opentelemetry::trace::{SpanId, SpanKind, Status, TraceContextExt, TraceId};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use telemetry::http::HttpCall;
use telemetry::layer::{RpcClientTelemetry, RpcTelemetry};
use telemetry::propagation;
use tonic::Code;
use tower::{Layer, Service, ServiceExt, service_fn};

const PATH: &str = "/grpc.health.v1.Health/Check";
const PARENT: &str = "b7ad6b7169203331";

struct Recorded {
    spans: InMemorySpanExporter,
    metrics: InMemoryMetricExporter,
    meters: SdkMeterProvider,
}

static RECORDED: LazyLock<Recorded> = LazyLock::new(|| {
    let (spans, metrics) = (InMemorySpanExporter::default(), InMemoryMetricExporter::default());
    let meters = SdkMeterProvider::builder().with_periodic_exporter(metrics.clone()).build();
    global::set_tracer_provider(SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build());
    global::set_meter_provider(meters.clone());
    Recorded { spans, metrics, meters }
});

/// Headers that start under `PARENT` in a trace of their own.
fn headers(trace: &str) -> HeaderMap {
    let parent = format!("00-{trace}-{PARENT}-01");
    HeaderMap::from_iter([(
        http::HeaderName::from_static("traceparent"),
        HeaderValue::try_from(parent).expect("ASCII"),
    )])
}

fn request(path: &str, trace: &str) -> Request<()> {
    LazyLock::force(&RECORDED);
    let mut request = Request::new(());
    *request.uri_mut() = path.parse().expect("a path");
    *request.headers_mut() = headers(trace);
    request
}

/// The one span of a trace.
fn span(trace: &str) -> SpanData {
    let trace = TraceId::from_hex(trace).expect("hexadecimal");
    let spans = RECORDED.spans.get_finished_spans().expect("it isn't shut down");
    let mut spans = spans.into_iter().filter(|span| span.span_context.trace_id() == trace);
    let span = spans.next().expect("the call ended its span");
    assert!(spans.next().is_none(), "one call is one span");
    span
}

fn attributes(span: &SpanData) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = span.attributes.iter().map(|pair| (pair.key.to_string(), pair.value.to_string())).collect();
    pairs.sort();
    pairs
}

fn attribute(span: &SpanData, name: &str) -> Option<String> {
    attributes(span).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// Each series of a histogram: its attributes in order, and how many values it has.
fn series(metric: &str) -> Vec<(Vec<String>, u64)> {
    RECORDED.meters.force_flush().expect("it isn't shut down");
    let all = RECORDED.metrics.get_finished_metrics().expect("it isn't shut down");
    let latest = all.last().expect("something was measured");
    let metrics = latest.scope_metrics().flat_map(|scope| scope.metrics());
    let found = metrics.filter(|found| found.name() == metric).flat_map(|found| {
        let AggregatedMetrics::F64(MetricData::Histogram(histogram)) = found.data() else {
            panic!("{metric} is a histogram of durations, not {:?}", found.data());
        };
        histogram.data_points()
    });
    found
        .map(|point| {
            let mut names: Vec<_> = point.attributes().map(|pair| format!("{}={}", pair.key, pair.value)).collect();
            names.sort();
            (names, point.count())
        })
        .collect()
}

fn status(code: Code) -> HeaderMap {
    HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from(code as i32))])
}

type Frames = Vec<Result<Frame<Bytes>, Infallible>>;
type Streamed = StreamBody<stream::Iter<<Frames as IntoIterator>::IntoIter>>;

fn streamed(frames: Frames) -> Response<Streamed> {
    Response::new(StreamBody::new(stream::iter(frames)))
}

/// An answer with a message, and the status in its trailers.
fn unary(code: Code) -> Frames {
    vec![Ok(Frame::data(Bytes::from_static(b"message"))), Ok(Frame::trailers(status(code)))]
}

async fn serve_unary(path: &str, trace: &str, code: Code) {
    let service = RpcTelemetry.layer(service_fn(async |_: Request<()>| Ok::<_, Infallible>(streamed(unary(code)))));
    let answer = service.oneshot(request(path, trace)).await.expect("it answers");
    let _ = answer.into_body().collect().await.expect("it ends");
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn call_is_server_span_with_listed_attributes() {
    const TRACE: &str = "0000000000000000000000000000a001";
    serve_unary(PATH, TRACE, Code::Ok).await;
    let span = span(TRACE);
    assert_eq!(span.parent_span_id, SpanId::from_hex(PARENT).expect("hexadecimal"));
    assert_eq!((span.name.as_ref(), span.span_kind.clone()), (&PATH[1..], SpanKind::Server));
    assert_eq!(span.status, Status::Unset);
    let listed = [("rpc.method", &PATH[1..]), ("rpc.response.status_code", "OK"), ("rpc.system.name", "grpc")];
    assert_eq!(attributes(&span), pairs(&listed));
}

#[tokio::test]
async fn status_without_body_is_read_from_headers() {
    const TRACE: &str = "0000000000000000000000000000a002";
    let service = RpcTelemetry.layer(service_fn(async |_: Request<()>| {
        let mut answer = Response::new(Empty::<Bytes>::new());
        *answer.headers_mut() = status(Code::NotFound);
        Ok::<_, Infallible>(answer)
    }));
    drop(service.oneshot(request(PATH, TRACE)).await.expect("it answers"));
    assert_eq!(attribute(&span(TRACE), "rpc.response.status_code").as_deref(), Some("NOT_FOUND"));
}

#[tokio::test]
async fn http_refusal_maps_to_status() {
    const TRACE: &str = "0000000000000000000000000000a003";
    let service = RpcTelemetry.layer(service_fn(async |_: Request<()>| {
        let mut answer = Response::new(Empty::<Bytes>::new());
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        Ok::<_, Infallible>(answer)
    }));
    drop(service.oneshot(request(PATH, TRACE)).await.expect("it answers"));
    assert_eq!(attribute(&span(TRACE), "rpc.response.status_code").as_deref(), Some("UNAVAILABLE"));
}

#[tokio::test]
async fn only_server_faults_are_span_errors() {
    let faults = ["UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"];
    for number in 0..=16 {
        let trace = format!("0000000000000000000000000000b{number:03x}");
        serve_unary(PATH, &trace, Code::from_i32(number)).await;
        let span = span(&trace);
        let name = attribute(&span, "rpc.response.status_code").expect("a status");
        let fault = faults.contains(&name.as_str());
        assert_eq!(span.status == Status::error(""), fault, "{name}");
        assert_eq!(attribute(&span, "error.type"), fault.then_some(name));
    }
}

#[tokio::test]
async fn client_hangup_cancels_call() {
    const BEFORE: &str = "0000000000000000000000000000a004";
    let mut service = RpcTelemetry.layer(service_fn(async |_: Request<()>| {
        std::future::pending::<()>().await;
        Ok::<_, Infallible>(streamed(unary(Code::Ok)))
    }));
    drop(service.call(request(PATH, BEFORE)));
    assert_eq!(attribute(&span(BEFORE), "rpc.response.status_code").as_deref(), Some("CANCELLED"));

    const WITHIN: &str = "0000000000000000000000000000a005";
    let service = RpcTelemetry.layer(service_fn(async |_: Request<()>| Ok::<_, Infallible>(streamed(unary(Code::Ok)))));
    let mut body = service.oneshot(request(PATH, WITHIN)).await.expect("it answers").into_body();
    assert!(body.frame().await.is_some(), "the message, not yet the trailers");
    drop(body);
    assert_eq!(attribute(&span(WITHIN), "rpc.response.status_code").as_deref(), Some("CANCELLED"));
}

#[tokio::test]
async fn call_dropped_after_timeout_exceeded_deadline() {
    for (trace, timeout, code) in [
        ("0000000000000000000000000000a010", "0n", "DEADLINE_EXCEEDED"),
        ("0000000000000000000000000000a011", "1H", "CANCELLED"),
    ] {
        let mut service = RpcClientTelemetry::new("auth", None)
            .layer(service_fn(async |_: Request<()>| Ok::<_, Infallible>(streamed(unary(Code::Ok)))));
        let mut request = request(PATH, trace);
        request.headers_mut().insert("grpc-timeout", HeaderValue::from_static(timeout));
        let _entered = propagation::extract(request.headers()).attach();
        drop(service.call(request));
        assert_eq!(attribute(&span(trace), "rpc.response.status_code").as_deref(), Some(code));
    }
}

#[tokio::test]
async fn interrupted_answer_is_fault() {
    const TRACE: &str = "0000000000000000000000000000a006";
    let service = RpcTelemetry.layer(service_fn(async |_: Request<()>| Ok::<_, Infallible>(streamed(Vec::new()))));
    let answer = service.oneshot(request(PATH, TRACE)).await.expect("it answers");
    let _ = answer.into_body().collect().await.expect("it ends");
    assert_eq!(attribute(&span(TRACE), "rpc.response.status_code").as_deref(), Some("UNKNOWN"));
}

#[tokio::test]
async fn unknown_paths_are_one_series() {
    for number in 0..50 {
        let trace = format!("0000000000000000000000000000c{number:03x}");
        serve_unary(&format!("/made.Up/Method{number}"), &trace, Code::Unimplemented).await;
        assert_eq!(span(&trace).name, "grpc");
    }
    let other: Vec<_> = series("rpc.server.call.duration")
        .into_iter()
        .filter(|(attributes, _)| !attributes.contains(&format!("rpc.method={}", &PATH[1..])))
        .collect();
    let attributes = [
        "error.type=UNIMPLEMENTED",
        "rpc.method=_OTHER",
        "rpc.response.status_code=UNIMPLEMENTED",
        "rpc.system.name=grpc",
    ];
    assert_eq!(other, [(attributes.map(str::to_owned).to_vec(), 50)]);
}

#[tokio::test]
async fn unsampled_parent_is_obeyed_and_propagated() {
    const TRACE: &str = "0000000000000000000000000000a007";
    let service = RpcTelemetry.layer(service_fn(async |_: Request<()>| {
        let mut onward = HeaderMap::new();
        propagation::inject(&opentelemetry::Context::current(), &mut onward);
        let mut answer = streamed(unary(Code::Ok));
        *answer.headers_mut() = onward;
        Ok::<_, Infallible>(answer)
    }));
    let mut request = request(PATH, TRACE);
    let parent = format!("00-{TRACE}-{PARENT}-00");
    request.headers_mut().insert("traceparent", parent.parse().expect("ASCII"));
    let answer = service.oneshot(request).await.expect("it answers");
    let onward = answer.headers()["traceparent"].to_str().expect("ASCII").to_owned();
    assert!(onward.starts_with(&format!("00-{TRACE}-")) && onward.ends_with("-00"), "{onward}");
    let _ = answer.into_body().collect().await.expect("it ends");
    let spans = RECORDED.spans.get_finished_spans().expect("it isn't shut down");
    assert!(!spans.iter().any(|span| span.span_context.trace_id().to_string() == TRACE));
}

#[tokio::test]
async fn client_span_is_parent_and_refusal_is_error() {
    const TRACE: &str = "0000000000000000000000000000a008";
    LazyLock::force(&RECORDED);
    let layer = RpcClientTelemetry::new("auth", Some(50051));
    let service = layer.layer(service_fn(async |request: Request<()>| {
        let mut answer = Response::new(Empty::<Bytes>::new());
        answer.headers_mut().extend(status(Code::NotFound));
        answer.headers_mut().insert("x-parent", request.headers()["traceparent"].clone());
        Ok::<_, Infallible>(answer)
    }));
    let _entered = propagation::extract(&headers(TRACE)).attach();
    let mut request = Request::new(());
    *request.uri_mut() = format!("http://127.0.0.1:50051{PATH}").parse().expect("a URI");
    request.headers_mut().insert("traceparent", HeaderValue::from_static("from somebody else"));
    let answer = service.oneshot(request).await.expect("it answers");

    let span = span(TRACE);
    let sent = format!("00-{TRACE}-{}-01", span.span_context.span_id());
    assert_eq!(answer.headers()["x-parent"], sent.as_str());
    assert_eq!(span.parent_span_id.to_string(), PARENT);
    assert_eq!((span.span_kind.clone(), span.status.clone()), (SpanKind::Client, Status::error("")));
    let listed = [
        ("error.type", "NOT_FOUND"),
        ("rpc.method", &PATH[1..]),
        ("rpc.response.status_code", "NOT_FOUND"),
        ("rpc.system.name", "grpc"),
        ("server.address", "auth"),
        ("server.port", "50051"),
    ];
    assert_eq!(attributes(&span), pairs(&listed));
}

fn http_call(method: &str, trace: &str) -> HttpCall {
    LazyLock::force(&RECORDED);
    HttpCall::start(&Method::from_bytes(method.as_bytes()).expect("a method"), &headers(trace))
}

#[tokio::test]
async fn http_span_has_route_and_listed_attributes() {
    const TRACE: &str = "0000000000000000000000000000a009";
    let mut call = http_call("GET", TRACE);
    call.route("/clients/{clientId}");
    assert_eq!(call.context().span().span_context().trace_id().to_string(), TRACE);
    let answer = call.wrap(Response::new(Full::new(Bytes::from_static(b"{}"))));
    let _ = answer.into_body().collect().await.expect("it ends");
    let span = span(TRACE);
    assert_eq!((span.name.as_ref(), span.span_kind.clone()), ("GET /clients/{clientId}", SpanKind::Server));
    assert_eq!(span.parent_span_id.to_string(), PARENT);
    assert_eq!(span.status, Status::Unset);
    let listed = [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("http.route", "/clients/{clientId}"),
        ("url.scheme", "http"),
    ];
    assert_eq!(attributes(&span), pairs(&listed));
}

#[tokio::test]
async fn http_fault_is_error_and_refusal_is_not() {
    const FAULT: &str = "0000000000000000000000000000a00a";
    http_call("POST", FAULT).end(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(span(FAULT).status, Status::error(""));
    assert_eq!(attribute(&span(FAULT), "error.type").as_deref(), Some("503"));

    const REFUSAL: &str = "0000000000000000000000000000a00b";
    http_call("BREW", REFUSAL).end(StatusCode::NOT_FOUND);
    let span = span(REFUSAL);
    assert_eq!((span.name.as_ref(), span.status.clone()), ("HTTP", Status::Unset));
    assert_eq!(attribute(&span, "http.request.method").as_deref(), Some("_OTHER"));
}

#[tokio::test]
async fn dropped_http_body_is_cancelled_unless_complete() {
    const EMPTY: &str = "0000000000000000000000000000a00c";
    drop(http_call("DELETE", EMPTY).wrap(Response::new(Empty::<Bytes>::new())));
    assert_eq!(attribute(&span(EMPTY), "error.type"), None);

    const HEAD: &str = "0000000000000000000000000000a00d";
    drop(http_call("HEAD", HEAD).wrap(Response::new(Full::new(Bytes::from_static(b"{}")))));
    assert_eq!(attribute(&span(HEAD), "error.type"), None);

    const DROPPED: &str = "0000000000000000000000000000a00e";
    drop(http_call("GET", DROPPED).wrap(streamed(unary(Code::Ok))));
    assert_eq!(attribute(&span(DROPPED), "error.type").as_deref(), Some("cancelled"));

    const TRAILERS: &str = "0000000000000000000000000000a00f";
    let mut body = http_call("POST", TRAILERS).wrap(streamed(unary(Code::Ok))).into_body();
    while body.frame().await.is_some_and(|frame| !frame.expect("no frame fails").is_trailers()) {}
    drop(body);
    assert_eq!(attribute(&span(TRAILERS), "error.type"), None);
}

//! Sends the documented examples through the front: the service receives every field as written, and the front turns
//! the service's answer into the documented one.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use clap::Parser as _;
use contract::rest::{Route, routes};
use contract::{document, pool};
use gateway::{Admission, Front, Setup, Upstream};
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use prost::Message as _;
use prost_reflect::DynamicMessage;
use proto::HttpBody;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tower::ServiceExt as _;

/// Length of the prefix of a gRPC message: a flag and the message length.
const PREFIX: usize = 5;

#[derive(Debug, clap::Parser)]
struct Settings {
    #[command(flatten)]
    front: gateway::Config,
}

/// A front with a service that always gives the same answer, and the last request that the service received.
struct TestEnv {
    front: Front,
    asked: Arc<Mutex<Option<Vec<u8>>>>,
}

impl TestEnv {
    fn new(route: &Route, answer: &[u8]) -> Self {
        let asked = Arc::new(Mutex::new(None));
        let status = route.rpc.access.http_status;
        let frame = Bytes::from([&[0], &u32::try_from(answer.len()).unwrap().to_be_bytes()[..], answer].concat());
        let note = Arc::clone(&asked);
        let service = tower::service_fn(move |request: Request<Body>| {
            let (frame, note) = (frame.clone(), Arc::clone(&note));
            async move {
                let request = request.into_body().collect().await.unwrap().to_bytes();
                *note.lock().unwrap() = Some(request[PREFIX..].to_vec());
                let trailers = http::HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
                let body = Full::new(frame).with_trailers(async { Some(Ok(trailers)) });
                let response = Response::builder().header("content-type", "application/grpc");
                Ok::<_, Infallible>(response.header("x-http-code", status).body(body).unwrap())
            }
        });
        let upstream = Upstream::local(service);
        let domains = pool()
            .services()
            .map(|service| service.full_name().split('.').nth(1).unwrap().to_owned())
            .collect::<Vec<_>>();
        let config = Settings::parse_from(["front"]).front;
        let front = Front::new(Setup {
            descriptors: proto::DESCRIPTOR_SET,
            is_routable: gateway::is_routable,
            upstreams: domains.into_iter().map(|domain| (domain, upstream.clone())).collect::<HashMap<_, _>>(),
            trusted_proxies: Vec::new(),
            admission: Admission::new(&config),
            hosts: config.hosts_at(([127, 0, 0, 1], 0).into()).unwrap(),
            config,
            stop: CancellationToken::new(),
        });
        Self { front: front.unwrap(), asked }
    }

    /// Sends a request and returns the status and the body.
    async fn send(&self, row: &str, target: &str, body: Option<&Value>) -> (u16, Bytes) {
        let method: Method = row.split(' ').next().unwrap().parse().unwrap();
        let request = Request::builder().method(method).uri(target).header("host", "localhost");
        let request = request.header("content-type", "application/json");
        let body = body.map(Value::to_string).unwrap_or_default();
        let answer = self.front.clone().oneshot(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap();
        (answer.status().as_u16(), answer.into_body().collect().await.unwrap().to_bytes())
    }
}

/// Returns the target with all parameters that have an example, and their values by name.
fn target(document: &Value, row: &str, operation: &Value) -> (String, Map<String, Value>) {
    let mut target = row.split(' ').nth(1).unwrap().to_owned();
    let mut sent = Map::new();
    let mut query = Vec::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let parameter = document::resolve(document, parameter);
        let name = parameter["name"].as_str().unwrap();
        let example = &parameter["example"];
        match parameter["in"].as_str() {
            Some("path") => target = target.replace(&format!("{{{name}}}"), &encoded_parameter(example)),
            Some("query") if example.is_array() => {
                let items = example.as_array().into_iter().flatten();
                query.extend(items.map(|item| format!("{name}={}", encoded_parameter(item))));
            }
            Some("query") if !example.is_null() => query.push(format!("{name}={}", encoded_parameter(example))),
            _ => {
                assert!(parameter["required"] != true, "{row}: {name} is required and has no example");
                continue;
            }
        }
        sent.insert(name.to_owned(), example.clone());
    }
    assert!(!target.contains('{'), "{row}: a parameter of the path has no example");
    if !query.is_empty() {
        target = format!("{target}?{}", query.join("&"));
    }
    (target, sent)
}

fn encoded_parameter(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string()
}

/// Encodes the message of an answer as the service does.
fn encoded(route: &Route, example: &Value) -> Vec<u8> {
    if route.rpc.method.is_server_streaming() {
        let (content_type, events) = ("text/event-stream".to_owned(), example.as_str().unwrap().to_owned());
        return HttpBody { content_type, data: events.into() }.encode_to_vec();
    }
    let json = match &route.response_body {
        None => example.clone(),
        Some(field) => Value::Object(Map::from_iter([(field.json_name().to_owned(), example.clone())])),
    };
    DynamicMessage::deserialize(route.rpc.method.output(), json).unwrap().encode_to_vec()
}

/// Returns the examples of the answer: for a stream, the text of its events; `None` for an answer without a body.
fn answers(document: &Value, operation: &Value) -> Vec<Option<Value>> {
    let Some(content) = document::success(document, operation).1.get("content") else { return vec![None] };
    let (media, json) = content.as_object().unwrap().iter().next().unwrap();
    if media != "application/json" {
        return vec![Some(json["example"].clone())];
    }
    match json.get("examples") {
        None => vec![Some(json["example"].clone())],
        Some(examples) => examples.as_object().unwrap().values().map(|it| Some(it["value"].clone())).collect(),
    }
}

#[tokio::test]
async fn examples_reach_service_whole_and_answers_match() {
    let document = document::load();
    let operations = document::operations(&document);
    for route in routes(&pool()) {
        let operation = operations[&route.row];
        for shown in answers(&document, operation) {
            check_example(&document, &route, operation, shown).await;
        }
    }
}

/// Checks the example of the request, and one of the answer; `None` for an answer without a body.
async fn check_example(document: &Value, route: &Route, operation: &Value, shown: Option<Value>) {
    let row = &route.row;
    let (status, success) = document::success(document, operation);
    let env = TestEnv::new(route, &shown.as_ref().map_or_else(Vec::new, |shown| encoded(route, shown)));

    let body = operation.get("requestBody").map(|body| &body["content"]["application/json"]["example"]);
    let (target, mut sent) = target(document, row, operation);
    let (got, text) = env.send(row, &target, body).await;
    let text = std::str::from_utf8(&text).unwrap();
    assert_eq!(got, status, "{row}: {text}");

    match (route.body.as_str(), body) {
        ("", _) => {}
        ("*", body) => sent.extend(body.unwrap().as_object().unwrap().clone()),
        (field, body) => {
            let field = route.rpc.method.input().get_field_by_name(field).unwrap();
            sent.insert(field.json_name().to_owned(), body.unwrap().clone());
        }
    }
    let asked = env.asked.lock().unwrap().take().unwrap();
    let asked = DynamicMessage::decode(route.rpc.method.input(), asked.as_slice()).unwrap();
    assert_eq!(serde_json::to_value(&asked).unwrap(), Value::Object(sent), "{row}: what the service got");

    match shown {
        None => assert!(text.is_empty() && success.get("content").is_none(), "{row}"),
        Some(Value::String(events)) => assert_eq!(text, events, "{row}"),
        Some(shown) => assert_eq!(serde_json::from_str::<Value>(text).unwrap(), shown, "{row}: the answer"),
    }
}

/// A response field that the document calls required is printed even if it has its default value.
#[tokio::test]
async fn required_fields_are_printed_when_empty() {
    let document = document::load();
    let operations = document::operations(&document);
    let is_whole = |route: &Route| route.response_body.is_none() && !route.rpc.method.is_server_streaming();
    for route in routes(&pool()).into_iter().filter(is_whole) {
        let operation = operations[&route.row];
        let Some(content) = document::success(&document, operation).1.get("content") else { continue };
        let schema = document::resolve(&document, &content["application/json"]["schema"]);
        let (target, _) = target(&document, &route.row, operation);
        let body = operation.get("requestBody").map(|body| &body["content"]["application/json"]["example"]);
        let (_, text) = TestEnv::new(&route, &[]).send(&route.row, &target, body).await;
        let printed: Map<String, Value> = serde_json::from_slice(&text).unwrap();
        for name in schema["required"].as_array().into_iter().flatten() {
            let field = route.rpc.method.output().get_field_by_json_name(name.as_str().unwrap()).unwrap();
            // Fields with presence are printed when set, and services always set them.
            assert!(field.supports_presence() || printed.contains_key(field.json_name()), "{}: {name}", route.row);
        }
    }
}

/// RPCs without a route: another RPC gives REST callers the same in another form.
const GRPC_ONLY: [&str; 1] = ["/therapy.messages.v1.MessageService/WatchConversation"];

/// The document has an operation for every RPC that users may call, but those over gRPC only, and for no other.
#[test]
fn only_public_rpcs_have_routes() {
    let routed: BTreeSet<_> = routes(&pool()).iter().map(|route| route.rpc.path()).collect();
    let of_people = proto::RPCS.iter().filter(|rpc| !rpc.is_internal() && !GRPC_ONLY.contains(&rpc.path));
    assert_eq!(routed, of_people.map(|rpc| rpc.path.to_owned()).collect());
}

/// Each parameter of a link comes from a required field of the answer, of the same type.
#[test]
fn links_lead_from_fields_of_answers_to_parameters() {
    let document = document::load();
    let operations = document::operations(&document);
    let mut followed = 0;
    for (row, operation) in &operations {
        let (_, success) = document::success(&document, operation);
        for link in success["links"].as_object().into_iter().flat_map(|links| links.values()) {
            let target = operations.values().find(|target| target["operationId"] == link["operationId"]).unwrap();
            let target = document::read(&document, target);
            for (name, field) in link["parameters"].as_object().unwrap() {
                let place = |place: &str| target.parameters.get(&(place.to_owned(), name.clone()));
                let (_, needed) = place("path").or_else(|| place("query")).unwrap();
                let field = field.as_str().unwrap().strip_prefix("$response.body#/").unwrap();
                let document::Answer::Json(document::Shape::Object(fields)) =
                    document::read(&document, operation).answer
                else {
                    panic!("{row}: links from fields need an object")
                };
                assert_eq!((&fields[field].0, &fields[field].1), (&true, needed), "{row}: {field}");
                followed += 1;
            }
        }
    }
    assert!(followed > 30, "{followed}");
}

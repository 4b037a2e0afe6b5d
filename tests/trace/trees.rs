//! One request is one trace, from the edge through every service to each call of DynamoDB, and its logs are joined to it.

use kit::otlp::text;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use proto::auth::v1::GetMeRequest;
use proto::auth::v1::auth_service_client::AuthServiceClient;
use reqwest::Method;
use tonic::Request;
use tonic::transport::Channel;

use crate::watched::{Seen, Trace, Watched};

const GET: &str = "\
server GET /clients/{client_id}
  client therapy.clients.v1.ClientService/GetClient
    server therapy.clients.v1.ClientService/GetClient
      client GetItem Clients
";

const DELETE: &str = "\
server DELETE /clients/{client_id}
  client therapy.clients.v1.ClientService/DeleteClient
    server therapy.clients.v1.ClientService/DeleteClient
      client GetItem Clients
      client therapy.auth.v1.LoginService/ListEndedLogins
        server therapy.auth.v1.LoginService/ListEndedLogins
          client BatchGetItem Users
      client TransactWriteItems Clients
      client therapy.events.v1.SubscriberService/Deliver
        server therapy.events.v1.SubscriberService/Deliver
          client GetItem Users
          client TransactGetItems Users
          client TransactWriteItems Users
          client Query Users
          client DeleteItem Users
          client DeleteItem Users
      client therapy.events.v1.SubscriberService/Deliver
        server therapy.events.v1.SubscriberService/Deliver
          client PutItem Mappings
          client Query Mappings
      client therapy.events.v1.SubscriberService/Deliver
        server therapy.events.v1.SubscriberService/Deliver
          client PutItem DataKeys
      client therapy.events.v1.SubscriberService/Deliver
        server therapy.events.v1.SubscriberService/Deliver
          client Query Journals
      client therapy.events.v1.SubscriberService/Deliver
        server therapy.events.v1.SubscriberService/Deliver
          client Query Messages
      client therapy.events.v1.SubscriberService/Deliver
        server therapy.events.v1.SubscriberService/Deliver
          client PutItem Appointments
          client Query Appointments
      client therapy.events.v1.SubscriberService/Deliver
        server therapy.events.v1.SubscriberService/Deliver
          client Query Sessions
      client therapy.events.v1.SubscriberService/Deliver
        server therapy.events.v1.SubscriberService/Deliver
          client PutItem SearchIndex
          client Query SearchIndex
      client UpdateItem Clients
";

const REFUSED: &str = "\
server GET /clients/{client_id}
  client therapy.clients.v1.ClientService/GetClient
    server therapy.clients.v1.ClientService/GetClient
";

const UNKNOWN: &str = "\
server GET
";

const GRPC: &str = "\
server POST /therapy.auth.v1.AuthService/GetMe
  client therapy.auth.v1.AuthService/GetMe
    server therapy.auth.v1.AuthService/GetMe
      client GetItem Users
";

pub(crate) struct Trees {
    expected: Vec<(Trace, &'static str)>,
}

pub(crate) async fn play(watched: &Watched) -> Trees {
    let mesh = &watched.mesh;
    let who = mesh.client("Asha").await;
    let path = format!("/clients/{}", who.id);
    let request = |method| mesh.request(method, &path).bearer_auth(&who.token);

    let (got, answer) = watched.ask(request(Method::GET)).await;
    answer.expect(200);
    let (refused, answer) = watched.ask(mesh.request(Method::GET, &path)).await;
    answer.refused(401, "TOKEN_MISSING");

    let (unknown, answer) = watched.ask(mesh.request(Method::GET, "/nothing")).await;
    answer.refused(404, "ROUTE_NOT_FOUND");

    let (by_grpc, parent) = watched.new_trace();
    let mut auth = AuthServiceClient::new(Channel::from_shared(mesh.url.clone()).unwrap().connect().await.unwrap());
    let mut me = Request::new(GetMeRequest {});
    me.metadata_mut().insert("authorization", format!("Bearer {}", who.token).parse().unwrap());
    me.metadata_mut().insert("traceparent", parent.parse().unwrap());
    auth.get_me(me).await.unwrap();

    // Without a caller's trace the edge starts one.
    kit::mesh::answer(mesh.request(Method::GET, "/healthz")).await.expect(200);
    let (deleted, answer) = watched.ask(request(Method::DELETE)).await;
    assert_eq!(answer.status, 204);
    Trees { expected: vec![(got, GET), (refused, REFUSED), (unknown, UNKNOWN), (by_grpc, GRPC), (deleted, DELETE)] }
}

impl Trees {
    pub(crate) fn check(&self, seen: &Seen) {
        for (trace, expected) in &self.expected {
            assert_eq!(seen.tree(*trace), *expected);
            self.logs_are_joined(seen, *trace);
        }
        let refusals = seen.received.logs.iter().filter(|log| text(&log.attributes, "reason").is_some());
        assert!(refusals.clone().count() > 1 && refusals.clone().all(|log| !log.trace_id.is_empty()));
        let begun = seen.received.spans.iter().filter(|span| span.name == "GET /healthz");
        let begun: Vec<_> = begun.collect();
        assert!(!begun.is_empty() && begun.iter().all(|span| span.parent_span_id.is_empty()));
        assert_eq!(seen.received.services.iter().map(String::as_str).collect::<Vec<_>>(), ["mesh"]);
    }

    /// Asserts that each server span has its line in the access log, with its trace and span ids, and that all lines of a trace
    /// have the id of the one request.
    fn logs_are_joined(&self, seen: &Seen, trace: Trace) {
        let lines = seen.received.logs.iter().filter(|log| log.trace_id == trace.id());
        let ids: Vec<_> =
            lines.map(|log| text(&log.attributes, "request_id").expect("a line names its request")).collect();
        assert!(!ids.is_empty() && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        let spans = seen.spans(trace);
        for span in spans.iter().filter(|span| span.kind() == SpanKind::Server) {
            let mut lines = seen.received.logs.iter().filter(|log| log.span_id == span.span_id);
            let line =
                lines.find(|log| text(&log.attributes, "method").is_some() || text(&log.attributes, "route").is_some());
            let line = line.unwrap_or_else(|| panic!("no line in the access log for {}", span.name));
            assert_eq!(line.trace_id, span.trace_id);
        }
    }
}

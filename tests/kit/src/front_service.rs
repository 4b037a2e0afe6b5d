//! Test service behind a front: each RPC exercises one feature of the transcoder. Its proto, `testing/v1/front.proto`,
//! documents the answers.
#![allow(clippy::expect_used, reason = "a test service that cannot start has failed")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use prost_types::Timestamp;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::interval;
use tokio_stream::wrappers::{IntervalStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt as _};
use tonic::metadata::KeyAndValueRef;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use self::generated::google::api::HttpBody;
use self::v1::front_internal_service_server::{FrontInternalService, FrontInternalServiceServer};
use self::v1::front_service_server::{FrontService, FrontServiceServer};
use self::v1::item::State;
use self::v1::{
    CreateItemRequest, DeleteItemRequest, EchoMetadataRequest, EchoMetadataResponse, Event, ExportRequest, FailRequest,
    GetCalendarRequest, GetItemRequest, HangRequest, Item, Kinds, ListItemsRequest, ListItemsResponse, PurgeRequest,
    PurgeResponse, ReadShelfRequest, ReadShelfResponse, UpdateItemRequest, UpdateItemResponse, WatchRequest,
    echo_metadata_response,
};

#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::restriction,
    clippy::pedantic,
    reason = "generated code"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/front.rs"));
}

pub use self::generated::therapy::testing::v1;

/// The service's protos with their options, as an encoded `FileDescriptorSet`.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/front.pb"));

/// The same set without `response_body`, which Envoy can't load on a repeated field.
pub const ENVOY_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/front.envoy.pb"));

/// Full name of the service that fronts route to.
pub const SERVICE: &str = "therapy.testing.v1.FrontService";

/// The running test service on its own port. It stops when dropped.
#[derive(Debug)]
pub struct Front {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Front {
    /// Starts the service on a free loopback port.
    ///
    /// # Panics
    ///
    /// If there is no port to listen on.
    #[allow(clippy::disallowed_methods, reason = "the task ends with this value")]
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        // A front is ready when its services are.
        let (_, health) = tonic_health::server::health_reporter();
        let server = Server::builder()
            .add_service(health)
            .add_service(FrontServiceServer::new(Answers))
            .add_service(FrontInternalServiceServer::new(Answers))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let task = tokio::spawn(async move { server.await.expect("the test service serves") });
        Self { address, task }
    }

    /// Returns the listen address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Answers;

/// Adds the response metadata by which a service of the mesh describes a success to its front.
fn described<T>(answer: T, metadata: &[(&'static str, &str)]) -> Response<T> {
    let mut response = Response::new(answer);
    for (name, value) in metadata {
        response.metadata_mut().insert(*name, value.parse().expect("the metadata is ASCII"));
    }
    response
}

fn refusal(code: Code, reason: &str, message: &str) -> Status {
    Status::with_error_details(code, message, ErrorDetails::with_error_info(reason, "therapy", HashMap::new()))
}

fn violation(field: &str, reason: &str, description: &str) -> FieldViolation {
    FieldViolation { reason: reason.to_owned(), ..FieldViolation::new(field, description) }
}

fn made_up(id: impl ToString) -> Item {
    Item {
        item_id: id.to_string(),
        title: "Brackets ]}, a \"quote\", a \\ and é".to_owned(),
        weight: 0,
        state: State::Open.into(),
        labels: vec!["a".to_owned(), "[".to_owned()],
        created_at: Some(Timestamp { seconds: 1_767_225_600, nanos: 120_000_000 }),
        remark: None,
    }
}

type Answer<T> = Result<Response<T>, Status>;
type BoxStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl FrontService for Answers {
    type ExportStream = BoxStream<HttpBody>;
    type WatchStream = BoxStream<Event>;
    type WatchEventsStream = BoxStream<HttpBody>;
    type ChatStream = BoxStream<Event>;

    async fn get_item(&self, request: Request<GetItemRequest>) -> Answer<Item> {
        let id = request.into_inner().item_id;
        if id.starts_with("missing") {
            return Err(refusal(Code::NotFound, "NOT_FOUND", "there is no such item"));
        }
        Ok(described(made_up(id), &[("x-internal", "not for callers")]))
    }

    async fn list_items(&self, request: Request<ListItemsRequest>) -> Answer<ListItemsResponse> {
        let request = request.into_inner();
        let size = if request.page_size == 0 { 3 } else { request.page_size };
        let items = (0..size).map(|n| Item {
            title: format!("{} of {:?}", n, request.owner_id),
            labels: request.labels.clone(),
            ..made_up(n)
        });
        let items = ListItemsResponse { items: items.collect(), next_page_token: "next".to_owned() };
        Ok(described(items, &[("x-http-body-field", "items"), ("x-next-page-token", "next")]))
    }

    async fn create_item(&self, request: Request<CreateItemRequest>) -> Answer<Item> {
        let item = request.into_inner().item.unwrap_or_default();
        match item.title.as_str() {
            "" => {
                let mut details = ErrorDetails::with_bad_request([violation("title", "REQUIRED", "is required")]);
                details.set_error_info("INVALID_FIELDS", "therapy", HashMap::new());
                Err(Status::with_error_details(Code::InvalidArgument, "title is required", details))
            }
            "taken" => Err(refusal(Code::AlreadyExists, "TAKEN", "there is one already")),
            _ => Ok(described(Item { item_id: "new".to_owned(), ..item }, &[("x-http-code", "201")])),
        }
    }

    async fn update_item(&self, request: Request<UpdateItemRequest>) -> Answer<UpdateItemResponse> {
        Ok(Response::new(UpdateItemResponse { request: Some(request.into_inner()) }))
    }

    async fn delete_item(&self, _: Request<DeleteItemRequest>) -> Answer<()> {
        Ok(described((), &[("x-http-code", "204")]))
    }

    async fn echo_kinds(&self, request: Request<Kinds>) -> Answer<Kinds> {
        Ok(Response::new(request.into_inner()))
    }

    async fn read_kinds(&self, request: Request<Kinds>) -> Answer<Kinds> {
        Ok(Response::new(request.into_inner()))
    }

    async fn read_shelf(&self, request: Request<ReadShelfRequest>) -> Answer<ReadShelfResponse> {
        Ok(Response::new(ReadShelfResponse { request: Some(request.into_inner()) }))
    }

    async fn get_calendar(&self, request: Request<GetCalendarRequest>) -> Answer<HttpBody> {
        let data = format!("BEGIN:VCALENDAR\r\nX-TOKEN:{}\r\nEND:VCALENDAR\r\n", request.into_inner().feed_token);
        let content_type = "text/calendar; charset=utf-8".to_owned();
        Ok(Response::new(HttpBody { content_type, data: data.into_bytes(), extensions: Vec::new() }))
    }

    async fn export(&self, request: Request<ExportRequest>) -> Answer<Self::ExportStream> {
        let parts = (0..request.into_inner().parts).map(|part| {
            let content_type = if part == 0 { "application/json".to_owned() } else { String::new() };
            Ok(HttpBody { content_type, data: format!("part {part}\n").into_bytes(), extensions: Vec::new() })
        });
        Ok(Response::new(Box::pin(tokio_stream::iter(parts.collect::<Vec<_>>()))))
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Answer<Self::WatchStream> {
        let request = request.into_inner();
        if request.count < 0 {
            return Ok(Response::new(Box::pin(tokio_stream::pending())));
        }
        let events = (1..=request.count).map(|n| {
            if n == request.fail_at {
                return Err(refusal(Code::Unavailable, "BROKEN", "the stream broke"));
            }
            Ok(Event { number: request.after + n, text: format!("event {n}\nof two lines") })
        });
        let mut events: Vec<_> = events.collect();
        if let Some(broken) = events.iter().position(Result::is_err) {
            events.truncate(broken + 1);
        }
        if matches!(events.as_slice(), [Err(_)]) {
            return events.remove(0).map(|_| unreachable!("the only event is an error"));
        }
        Ok(Response::new(Box::pin(tokio_stream::iter(events))))
    }

    async fn watch_events(&self, request: Request<WatchRequest>) -> Answer<Self::WatchEventsStream> {
        let is_silent = request.get_ref().count < 0;
        let events = self.watch(request).await?.into_inner().map(|event| {
            let Event { number, text } = event?;
            let json = serde_json::json!({"number": number, "text": text});
            Ok(format!("id: {number}\ndata: {json}\n\n"))
        });
        let comment = || Ok(":\n\n".to_owned());
        let parts: BoxStream<String> = if is_silent {
            Box::pin(IntervalStream::new(interval(Duration::from_secs(2))).map(move |_| comment()))
        } else {
            Box::pin(tokio_stream::once(comment()).chain(events))
        };
        let part = |text: String| {
            let content_type = "text/event-stream".to_owned();
            HttpBody { content_type, data: text.into_bytes(), extensions: Vec::new() }
        };
        Ok(Response::new(Box::pin(parts.map(move |text| text.map(part)))))
    }

    async fn fail(&self, request: Request<FailRequest>) -> Answer<()> {
        let request = request.into_inner();
        let mut details = ErrorDetails::new();
        if request.details {
            details.set_error_info("FAILED_ON_PURPOSE", "therapy", HashMap::new());
            let title = violation("item.title", "REQUIRED", "is required");
            details.set_bad_request([title, violation("item.weight", "OUT_OF_RANGE", "must be at least 1")]);
        }
        if let Ok(seconds @ 1..) = u64::try_from(request.retry_after) {
            details.set_retry_info(Some(Duration::from_secs(seconds)));
        }
        let code = Code::from_i32(request.code);
        Err(Status::with_error_details(code, request.text, details))
    }

    async fn echo_metadata(&self, request: Request<EchoMetadataRequest>) -> Answer<EchoMetadataResponse> {
        let mut entries: Vec<_> = request
            .metadata()
            .iter()
            .map(|entry| match entry {
                KeyAndValueRef::Ascii(name, value) => (name.as_str(), String::from_utf8_lossy(value.as_bytes())),
                KeyAndValueRef::Binary(name, value) => {
                    (name.as_str(), String::from_utf8_lossy(value.as_encoded_bytes()))
                }
            })
            // Added by the client library, not by the front.
            .filter(|(name, _)| !matches!(*name, "content-length" | "user-agent"))
            // The remaining time varies from call to call.
            .map(|(name, value)| (name, if name == "grpc-timeout" { "some".into() } else { value }))
            .map(|(name, value)| echo_metadata_response::Entry { name: name.to_owned(), value: value.into_owned() })
            .collect();
        entries.sort_by(|a, b| (&a.name, &a.value).cmp(&(&b.name, &b.value)));
        Ok(Response::new(EchoMetadataResponse { entries }))
    }

    /// Fails well before the deadline, as a service of the mesh does: the framework would answer CANCELLED.
    async fn hang(&self, request: Request<HangRequest>) -> Answer<()> {
        let milliseconds =
            request.metadata().get("grpc-timeout").and_then(|t| t.to_str().ok()?.strip_suffix('m')?.parse().ok());
        match milliseconds {
            Some(milliseconds) => tokio::time::sleep(Duration::from_millis(milliseconds) * 2 / 3).await,
            None => std::future::pending().await,
        }
        Err(refusal(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", "the time that the caller gave is over"))
    }

    async fn chat(&self, request: Request<Streaming<Event>>) -> Answer<Self::ChatStream> {
        let echoed = request.into_inner().map(|event| event.map(|e| Event { text: format!("{} again", e.text), ..e }));
        Ok(Response::new(Box::pin(echoed)))
    }
}

#[tonic::async_trait]
impl FrontInternalService for Answers {
    async fn purge(&self, _: Request<PurgeRequest>) -> Answer<PurgeResponse> {
        Ok(Response::new(PurgeResponse {}))
    }
}

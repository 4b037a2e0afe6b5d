//! gRPC on the same port.

use std::time::Duration;

use kit::front_service::v1::front_internal_service_client::FrontInternalServiceClient;
use kit::front_service::v1::front_service_client::FrontServiceClient;
use kit::front_service::v1::{EchoMetadataRequest, Event, FailRequest, GetItemRequest, HangRequest, PurgeRequest};
use tokio_stream::StreamExt as _;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::test_env::TestEnv;

async fn channel(env: &TestEnv) -> Channel {
    Channel::from_shared(format!("http://{}", env.address)).unwrap().connect().await.unwrap()
}

#[tokio::test]
async fn call_passes_with_listed_metadata() {
    let env = TestEnv::start(&[]).await;
    let mut client = FrontServiceClient::new(channel(&env).await);
    assert_eq!(client.get_item(GetItemRequest { item_id: "a".into() }).await.unwrap().get_ref().item_id, "a");

    let mut request = Request::new(EchoMetadataRequest {});
    for (name, value) in [("authorization", "Bearer a"), ("x-user-id", "somebody"), ("grpc-timeout", "99999999H")] {
        request.metadata_mut().insert(name, value.parse().unwrap());
    }
    let answer = client.echo_metadata(request).await.unwrap().into_inner();
    let value = |name: &str| answer.entries.iter().find(|entry| entry.name == name).map(|entry| entry.value.as_str());
    assert_eq!(value("authorization"), Some("Bearer a"));
    assert_eq!(value("x-user-id"), None);
    assert!(value("grpc-timeout").is_some());
    assert_eq!(value("x-forwarded-for"), Some("127.0.0.1"));
}

#[tokio::test]
async fn streams_pass_both_ways() {
    let env = TestEnv::start(&[]).await;
    let mut client = FrontServiceClient::new(channel(&env).await);
    let (say, said) = tokio::sync::mpsc::channel(1);
    let mut answers = client.chat(tokio_stream::wrappers::ReceiverStream::new(said)).await.unwrap().into_inner();
    for number in 0..3 {
        // Each answer comes before the next event is sent: the front does not buffer the stream.
        say.send(Event { number, text: "said".into() }).await.unwrap();
        assert_eq!(answers.next().await.unwrap().unwrap(), Event { number, text: "said again".into() });
    }
    drop(say);
    assert!(answers.next().await.is_none());
}

#[tokio::test]
async fn errors_pass_with_details_only() {
    let env = TestEnv::start(&[]).await;
    let mut client = FrontServiceClient::new(channel(&env).await);
    let request = FailRequest { code: 8, details: true, retry_after: 3, text: "why".into() };
    let status = client.fail(request).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "why"));
    assert!(!status.details().is_empty());
    assert!(status.metadata().get("retry-after").is_none(), "{status:?}");
}

#[tokio::test]
async fn internal_rpc_answers_like_unknown_rpc() {
    let env = TestEnv::start(&[]).await;
    let channel = channel(&env).await;
    let internal = FrontInternalServiceClient::new(channel.clone()).purge(PurgeRequest {}).await.unwrap_err();
    let mut unknown = tonic::client::Grpc::new(channel);
    unknown.ready().await.unwrap();
    let path = "/therapy.nothing.v1.NoService/Purge".parse().unwrap();
    let codec = tonic_prost_codec();
    let unknown: Status = unknown.unary(Request::new(PurgeRequest {}), path, codec).await.unwrap_err();
    let shown = |status: &Status| (status.code(), status.message().to_owned(), status.details().to_vec());
    assert_eq!(shown(&internal), shown(&unknown));
    assert_eq!(internal.code(), Code::Unimplemented);
}

fn tonic_prost_codec() -> tonic_prost::ProstCodec<PurgeRequest, kit::front_service::v1::PurgeResponse> {
    tonic_prost::ProstCodec::default()
}

#[tokio::test]
async fn call_ends_at_its_timeout() {
    let env = TestEnv::start(&["--request-timeout", "200ms"]).await;
    let mut client = FrontServiceClient::new(channel(&env).await);
    let status = client.hang(HangRequest {}).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn stream_ends_at_its_timeout() {
    let env = TestEnv::start(&["--stream-timeout", "200ms"]).await;
    let mut client = FrontServiceClient::new(channel(&env).await);
    let (_say, said) = tokio::sync::mpsc::channel(1);
    let mut answers = client.chat(tokio_stream::wrappers::ReceiverStream::new(said)).await.unwrap().into_inner();
    assert_eq!(answers.next().await.unwrap().unwrap_err().code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn unreachable_service_is_unavailable() {
    let upstream = gateway::Upstream::remote("http://127.0.0.1:9", None).unwrap();
    let env = TestEnv::with_upstream(upstream, None, &[], &[]).await;
    let channel = channel(&env).await;
    let status = FrontServiceClient::new(channel.clone()).hang(HangRequest {}).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let health = HealthClient::new(channel).check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(health.get_ref().status, 2);
}

#[tokio::test]
async fn reflection_streams_count_towards_limit() {
    let env = TestEnv::start(&["--max-requests-per-source", "1"]).await;
    let mut client = ServerReflectionClient::new(channel(&env).await);
    let (say, said) = tokio::sync::mpsc::channel(1);
    let said = tokio_stream::wrappers::ReceiverStream::new(said);
    let mut answers = client.server_reflection_info(said).await.unwrap().into_inner();
    let refused = client.server_reflection_info(tokio_stream::empty()).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    drop(say);
    assert!(answers.next().await.is_none());
    let again = async { while client.server_reflection_info(tokio_stream::empty()).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(60), again).await.expect("the place is free again");
}

#[tokio::test]
async fn reflection_stream_ends_at_its_timeout() {
    let env = TestEnv::start(&["--stream-timeout", "200ms"]).await;
    let mut client = ServerReflectionClient::new(channel(&env).await);
    let mut asked = client.server_reflection_info(tokio_stream::pending()).await.unwrap().into_inner();
    assert_eq!(asked.next().await.unwrap().unwrap_err().code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn reflection_shows_only_routable_services() {
    let env = TestEnv::start(&[]).await;
    let mut client = ServerReflectionClient::new(channel(&env).await);
    let ask = |message_request| ServerReflectionRequest { host: String::new(), message_request: Some(message_request) };
    let requests = [
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol("therapy.testing.v1.FrontService".into())),
        ask(MessageRequest::FileContainingSymbol("therapy.testing.v1.FrontInternalService".into())),
    ];
    let mut answers = client.server_reflection_info(tokio_stream::iter(requests)).await.unwrap().into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) = answers.next().await.unwrap().unwrap().message_response
    else {
        panic!("a list of services");
    };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    assert!(names.contains(&"therapy.testing.v1.FrontService".to_owned()), "{names:?}");
    assert!(!names.contains(&"therapy.testing.v1.FrontInternalService".to_owned()), "{names:?}");
    let found = answers.next().await.unwrap().unwrap().message_response;
    assert!(matches!(found, Some(MessageResponse::FileDescriptorResponse(_))), "{found:?}");
    let hidden = answers.next().await;
    assert!(
        !matches!(&hidden, Some(Ok(answer)) if matches!(answer.message_response, Some(MessageResponse::FileDescriptorResponse(_)))),
        "{hidden:?}"
    );
}

//! Internal RPCs: called by services only, with workload tokens, and exposed by no front.

use kit::mesh::{Someone, TestMesh};
use kit::test_env::TestEnv;
use proto::clients::v1::client_name_service_client::ClientNameServiceClient;
use proto::clients::v1::client_service_client::ClientServiceClient;
use proto::clients::v1::{BatchGetClientNamesRequest, GetClientRequest, ListClientsRequest};
use proto::events::v1::event::Kind;
use proto::events::v1::subscriber_service_client::SubscriberServiceClient;
use proto::events::v1::{AccountEnded, DeliverRequest, Event, account_ended};
use proto::therapists::v1::BatchGetTherapistNamesRequest;
use proto::therapists::v1::therapist_name_service_client::TherapistNameServiceClient;
use reqwest::Method;
use serde_json::json;
use tonic::transport::Channel;
use tonic::{Code, Request};
use tonic_types::StatusExt as _;

kit::on_each_env!(
    fronts:
    internal_rpc_requires_workload_token,
    malformed_event_is_rejected,
    batch_get_names_returns_existing_profiles_only,
    front_exposes_no_internal_rpc,
    grpc_and_rest_answer_alike_on_one_address,
);

pub(crate) async fn channel(address: &str) -> Channel {
    Channel::from_shared(address.to_owned()).unwrap().connect().await.unwrap()
}

fn bearer<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

/// Returns a request with the workload token of the service of this name.
fn of_service<T>(mesh: &TestMesh, name: &str, message: T) -> Request<T> {
    with_workload_token(message, &mesh.workload_token(name))
}

/// Returns the event of a client's account deletion.
fn ended(who: &Someone) -> DeliverRequest {
    let ended = AccountEnded { user_id: who.id.clone(), role: account_ended::Role::Client.into() };
    let event = Event { id: who.id.clone(), time: None, kind: Some(Kind::AccountEnded(ended)) };
    DeliverRequest { event: Some(event) }
}

fn reason(refused: &tonic::Status) -> String {
    refused.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

/// Returns a request whose workload token is this text.
fn with_workload_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("workload-identity-token", token.parse().unwrap());
    request
}

async fn internal_rpc_requires_workload_token(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let who = mesh.client("Asha").await;
    for service in ["auth", "mapping", "vault"] {
        let mut subscriber = SubscriberServiceClient::new(channel(&mesh.service(service)).await);
        let mut two = of_service(&mesh, "clients", ended(&who));
        two.metadata_mut().append("workload-identity-token", mesh.workload_token("clients").parse().unwrap());
        for (request, code, expected) in [
            (Request::new(ended(&who)), Code::Unauthenticated, "WORKLOAD_TOKEN_MISSING"),
            (bearer(ended(&who), &who.token), Code::Unauthenticated, "WORKLOAD_TOKEN_MISSING"),
            (with_workload_token(ended(&who), &who.token), Code::Unauthenticated, "WORKLOAD_TOKEN_INVALID"),
            (with_workload_token(ended(&who), "nonsense"), Code::Unauthenticated, "WORKLOAD_TOKEN_INVALID"),
            (two, Code::Unauthenticated, "WORKLOAD_TOKEN_INVALID"),
            (of_service(&mesh, "audit", ended(&who)), Code::PermissionDenied, "WORKLOAD_NOT_ALLOWED"),
            (of_service(&mesh, "reports", ended(&who)), Code::PermissionDenied, "WORKLOAD_NOT_ALLOWED"),
        ] {
            let refused = subscriber.deliver(request).await.unwrap_err();
            assert_eq!((refused.code(), &*reason(&refused)), (code, expected), "{service}");
        }
    }
    // What people call, and its front, is told nothing of it.
    let mut clients = ClientServiceClient::new(channel(&mesh.service("clients")).await);
    let mut request = bearer(GetClientRequest { client_id: who.id.clone() }, &who.token);
    request.metadata_mut().insert("workload-identity-token", "nonsense".parse().unwrap());
    clients.get_client(request).await.unwrap();
    mesh.get("/auth/me", &who).await.expect(200);
    mesh.stop().await;
}

/// A rejected event stays pending at its sender, so it is not lost.
async fn malformed_event_is_rejected(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let who = mesh.client("Asha").await;
    let mut nobody = ended(&who);
    if let Some(Event { kind: Some(Kind::AccountEnded(ended)), .. }) = &mut nobody.event {
        ended.user_id = "nobody".to_owned();
    }
    let unknown = DeliverRequest { event: Some(Event { id: who.id.clone(), time: None, kind: None }) };
    let mut auth = SubscriberServiceClient::new(channel(&mesh.service("auth")).await);
    for bad in [DeliverRequest { event: None }, unknown, nobody] {
        let refused = auth.deliver(of_service(&mesh, "clients", bad)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
    mesh.get("/auth/me", &who).await.expect(200);
    mesh.stop().await;
}

async fn batch_get_names_returns_existing_profiles_only(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, ben, noor) =
        (mesh.client("Asha").await, mesh.client("Ben").await, mesh.therapist("Noor", "Grief", "110001").await);
    let (gone, left) = (mesh.client("Gone").await, mesh.therapist("Left", "Grief", "110001").await);
    let (no_profile, nobody) = (mesh.join("CLIENT").await.id, "01933b5e-7a4c-7def-8abc-0123456789ab".to_owned());
    for (who, path) in [(&gone, format!("/clients/{}", gone.id)), (&left, format!("/therapists/{}", left.id))] {
        assert_eq!(mesh.ask(Method::DELETE, &path, Some(who), None).await.status, 204);
    }
    let rest = [no_profile, nobody, "no id".to_owned(), gone.id.clone(), left.id.clone()];

    let mut clients = ClientNameServiceClient::new(channel(&mesh.service("clients")).await);
    let ids = [&[asha.id.clone(), ben.id.clone(), asha.id.clone(), noor.id.clone()], &rest[..]].concat();
    let wanted = || BatchGetClientNamesRequest { client_ids: ids.clone() };
    let found = clients.batch_get_client_names(of_service(&mesh, "mapping", wanted())).await.unwrap().into_inner();
    let mut names: Vec<_> = found.names.into_iter().map(|it| (it.client_id, it.name)).collect();
    names.sort_by(|one, other| one.1.cmp(&other.1));
    assert_eq!(names, [(asha.id.clone(), "Asha".to_owned()), (ben.id.clone(), "Ben".to_owned())]);
    let refused = clients.batch_get_client_names(of_service(&mesh, "audit", wanted())).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let refused = clients.batch_get_client_names(bearer(wanted(), &asha.token)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let many = BatchGetClientNamesRequest { client_ids: vec![asha.id.clone(); 201] };
    let refused = clients.batch_get_client_names(of_service(&mesh, "mapping", many)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);

    let mut therapists = TherapistNameServiceClient::new(channel(&mesh.service("therapists")).await);
    let ids = [&[noor.id.clone(), asha.id.clone()], &rest[..]].concat();
    for service in ["mapping", "audit"] {
        let wanted = of_service(&mesh, service, BatchGetTherapistNamesRequest { therapist_ids: ids.clone() });
        let found = therapists.batch_get_therapist_names(wanted).await.unwrap().into_inner().names;
        let names: Vec<_> = found.into_iter().map(|it| (it.therapist_id, it.name, it.specialty)).collect();
        assert_eq!(names, [(noor.id.clone(), "Noor".to_owned(), "Grief".to_owned())], "{service}");
    }
    mesh.stop().await;
}

async fn front_exposes_no_internal_rpc(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let who = mesh.client("Asha").await;
    let mut front = SubscriberServiceClient::new(channel(&mesh.url).await);
    let refused = front.deliver(bearer(ended(&who), &who.token)).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unimplemented);
    let path = "/therapy.events.v1.SubscriberService/Deliver";
    let event = json!({"event": {"accountEnded": {"userId": who.id, "role": "CLIENT"}}});
    let rest = mesh.ask(Method::POST, path, Some(&who), Some(event)).await;
    rest.refused(404, "ROUTE_NOT_FOUND");
    mesh.get("/auth/me", &who).await.expect(200);
    mesh.stop().await;
}

async fn grpc_and_rest_answer_alike_on_one_address(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let who = mesh.client("Asha").await;
    for address in [&mesh.url, &mesh.service("clients")] {
        let mut clients = ClientServiceClient::new(channel(address).await);
        let list = clients.list_clients(bearer(ListClientsRequest::default(), &who.token)).await.unwrap().into_inner();
        assert_eq!(list.clients[0].client_id, who.id);
        let other = GetClientRequest { client_id: "01933b5e-7a4c-7def-8abc-0123456789ab".into() };
        let refused = clients.get_client(bearer(other, &who.token)).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        let details = tonic_types::StatusExt::get_error_details(&refused);
        assert_eq!(details.error_info().unwrap().reason, "NOT_YOUR_ACCOUNT");
        let nobody = clients.list_clients(ListClientsRequest::default()).await.unwrap_err();
        assert_eq!(nobody.code(), Code::Unauthenticated);
    }
    mesh.stop().await;
}

//! Internal RPCs: only services call them, by their own tokens, and no front leads to them.

use kit::engine::Engine;
use kit::mesh::TestMesh;
use proto::auth::v1::EndAccountRequest;
use proto::auth::v1::account_service_client::AccountServiceClient;
use proto::clients::v1::client_service_client::ClientServiceClient;
use proto::clients::v1::{GetClientRequest, ListClientsRequest};
use reqwest::Method;
use serde_json::json;
use tonic::transport::Channel;
use tonic::{Code, Request};

async fn channel(address: &str) -> Channel {
    Channel::from_shared(address.to_owned()).unwrap().connect().await.unwrap()
}

fn bearer<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

#[tokio::test]
async fn an_internal_rpc_wants_the_token_of_a_service() {
    let mesh = TestMesh::start(Engine::Embedded).await;
    let who = mesh.client("Asha").await;
    let mut auth = AccountServiceClient::new(channel(&mesh.service("auth")).await);
    let end = || EndAccountRequest { user_id: who.id.clone() };
    assert_eq!(auth.end_account(end()).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(auth.end_account(bearer(end(), &who.token)).await.unwrap_err().code(), Code::Unauthenticated);
    let mut forged = Request::new(end());
    forged.metadata_mut().insert("workload-identity-token", who.token.parse().unwrap());
    assert_eq!(auth.end_account(forged).await.unwrap_err().code(), Code::Unauthenticated);
    mesh.get("/auth/me", &who).await.expect(200);
    mesh.stop().await;
}

#[tokio::test]
async fn no_front_leads_to_an_internal_rpc() {
    let mesh = TestMesh::start(Engine::Embedded).await;
    let who = mesh.client("Asha").await;
    let mut front = AccountServiceClient::new(channel(&mesh.url).await);
    let refused = front.end_account(bearer(EndAccountRequest { user_id: who.id.clone() }, &who.token)).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unimplemented);
    let path = "/therapy.auth.v1.AccountService/EndAccount";
    let rest = mesh.ask(Method::POST, path, Some(&who), Some(json!({"userId": who.id}))).await;
    rest.refused(404, "ROUTE_NOT_FOUND");
    mesh.get("/auth/me", &who).await.expect(200);
    mesh.stop().await;
}

#[tokio::test]
async fn grpc_and_rest_share_an_address_and_give_the_same_answers() {
    let mesh = TestMesh::start(Engine::Embedded).await;
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

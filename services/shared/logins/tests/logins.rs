//! Handling of auth's answers, and of none.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on has failed")]
#![allow(clippy::disallowed_methods, reason = "the task ends with the test")]

use std::sync::Arc;
use std::time::Duration;

use chassis::Context;
use chassis::client::Upstream;
use chassis::identity::Issuer;
use kernel::{Kind, LoginId, Person, Role, SystemClock, UserId};
use logins::Logins;
use proto::auth::v1::login_service_server::{LoginService, LoginServiceServer};
use proto::auth::v1::{ListEndedLoginsRequest, ListEndedLoginsResponse};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

const OPEN: LoginId = LoginId::from_bytes([1; 16]);
const ENDED: LoginId = LoginId::from_bytes([2; 16]);

/// Auth, for which one login has ended.
struct Auth;

#[tonic::async_trait]
impl LoginService for Auth {
    async fn list_ended_logins(
        &self,
        request: Request<ListEndedLoginsRequest>,
    ) -> Result<Response<ListEndedLoginsResponse>, Status> {
        let asked = request.into_inner().logins.into_iter().map(|login| login.login_id);
        let login_ids = asked.filter(|id| *id == ENDED.to_string()).collect();
        Ok(Response::new(ListEndedLoginsResponse { login_ids }))
    }
}

fn logins(url: &str) -> Logins {
    let tokens = Arc::new(Issuer::generate(Arc::new(SystemClock)).unwrap()).workload("mapping").tokens;
    Logins::new(Upstream::new(url, tokens, kit::entropy::seeded()).unwrap())
}

async fn auth() -> Logins {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = Server::builder().add_service(LoginServiceServer::new(Auth));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    logins(&url)
}

fn context(login_id: LoginId) -> Context {
    let mut context = Context::background(Duration::from_secs(20));
    context.caller.person = Some(Person { user_id: UserId::from_bytes([3; 16]), role: Role::Client, login_id });
    context
}

#[tokio::test]
async fn open_login_is_accepted() {
    assert!(auth().await.must_be_open(&context(OPEN)).await.is_ok());
}

#[tokio::test]
async fn ended_login_is_refused() {
    let error = auth().await.must_be_open(&context(ENDED)).await.unwrap_err();
    assert_eq!((error.kind(), error.reason()), (Kind::Unauthenticated, "LOGIN_ENDED"));
}

#[tokio::test]
async fn call_without_person_is_refused() {
    let error = auth().await.must_be_open(&Context::background(Duration::from_secs(20))).await.unwrap_err();
    assert_eq!(error.reason(), "TOKEN_MISSING");
}

#[tokio::test]
async fn unreachable_auth_refuses_every_login() {
    let error = logins("http://127.0.0.1:9").must_be_open(&context(OPEN)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
}

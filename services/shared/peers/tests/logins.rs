//! Handling of auth's answers, and of none.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on has failed")]

use std::sync::Arc;
use std::time::Duration;

use chassis::Context;
use chassis::client::Upstream;
use chassis::identity::Issuer;
use kernel::{Kind, LoginId, Person, Role, SystemClock, UserId};
use kit::peers::Peers;
use peers::Logins;

const OPEN: LoginId = LoginId::from_bytes([1; 16]);
const ENDED: LoginId = LoginId::from_bytes([2; 16]);

fn logins(url: &str) -> Logins {
    let tokens = Arc::new(Issuer::generate(Arc::new(SystemClock)).unwrap()).workload("mapping").tokens;
    Logins::new(Upstream::new(url, tokens, kit::entropy::seeded()).unwrap())
}

/// Starts auth, for which one login has ended.
async fn auth() -> (Peers, Logins) {
    let peers = Peers::start().await;
    peers.state().ended_logins.insert(ENDED);
    let logins = logins(&peers.url());
    (peers, logins)
}

fn context(login_id: LoginId) -> Context {
    let mut context = Context::background(Duration::from_secs(20));
    context.caller.person = Some(Person { user_id: UserId::from_bytes([3; 16]), role: Role::Client, login_id });
    context
}

#[tokio::test]
async fn open_login_is_accepted() {
    let (_peers, logins) = auth().await;
    assert!(logins.must_be_open(&context(OPEN)).await.is_ok());
}

#[tokio::test]
async fn ended_login_is_refused() {
    let (_peers, logins) = auth().await;
    let error = logins.must_be_open(&context(ENDED)).await.unwrap_err();
    assert_eq!((error.kind(), error.reason()), (Kind::Unauthenticated, "LOGIN_ENDED"));
}

#[tokio::test]
async fn call_without_person_is_refused() {
    let (_peers, logins) = auth().await;
    let error = logins.must_be_open(&Context::background(Duration::from_secs(20))).await.unwrap_err();
    assert_eq!(error.reason(), "TOKEN_MISSING");
}

#[tokio::test]
async fn unreachable_auth_refuses_every_login() {
    let error = logins("http://127.0.0.1:9").must_be_open(&context(OPEN)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
}

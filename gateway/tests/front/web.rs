//! gRPC-Web on the same port, over HTTP/1.1 as a page's client sends it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kit::front_service::SERVICE;
use kit::front_service::v1::{FailRequest, GetItemRequest, Item};
use prost::Message;
use reqwest::header::CONTENT_TYPE;

use crate::test_env::TestEnv;

fn frame(message: &impl Message) -> Vec<u8> {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], &message].concat()
}

/// Splits a body into its frames: each a flag and its content.
fn frames(mut body: &[u8]) -> Vec<(u8, &[u8])> {
    let mut frames = Vec::new();
    while let [flag, a, b, c, d, rest @ ..] = body {
        let (held, after) = rest.split_at(u32::from_be_bytes([*a, *b, *c, *d]).try_into().unwrap());
        frames.push((*flag, held));
        body = after;
    }
    frames
}

fn call(env: &TestEnv, method: &str, kind: &str, body: Vec<u8>) -> reqwest::RequestBuilder {
    let url = format!("http://{}/{SERVICE}/{method}", env.address);
    reqwest::Client::new().post(url).header(CONTENT_TYPE, kind).header("x-grpc-web", "1").body(body)
}

#[tokio::test]
async fn answer_has_trailers_in_body() {
    let env = TestEnv::start(&[]).await;
    let asked = frame(&GetItemRequest { item_id: "a".into() });
    let answer = call(&env, "GetItem", "application/grpc-web+proto", asked.clone()).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()[CONTENT_TYPE]),
        (200, &"application/grpc-web+proto".parse().unwrap())
    );
    let body = answer.bytes().await.unwrap();
    let [(0, item), (0x80, trailers)] = frames(&body)[..] else { panic!("a message and trailers: {body:?}") };
    assert_eq!(Item::decode(item).unwrap().item_id, "a");
    assert!(std::str::from_utf8(trailers).unwrap().contains("grpc-status:0"), "{trailers:?}");

    let asked = STANDARD.encode(asked).into_bytes();
    let text = call(&env, "GetItem", "application/grpc-web-text", asked).header("accept", "application/grpc-web-text");
    let text = text.send().await.unwrap().text().await.unwrap();
    // Each piece is padded for itself.
    let decoded: Vec<u8> = text.as_bytes().chunks(4).flat_map(|four| STANDARD.decode(four).unwrap()).collect();
    let [(0, item), (0x80, _)] = frames(&decoded)[..] else { panic!("a message and trailers: {text}") };
    assert_eq!(Item::decode(item).unwrap().item_id, "a");
}

#[tokio::test]
async fn errors_and_unknown_rpcs_have_grpc_status() {
    let env = TestEnv::start(&[]).await;
    let fail = frame(&FailRequest { code: 5, details: false, retry_after: 0, text: "why".into() });
    let (plain, text) = ("application/grpc-web", "application/grpc-web-text");
    for (method, kind, body, status) in [
        ("Fail", plain, fail, "5"),
        ("Nothing", plain, Vec::new(), "12"),
        ("GetItem", text, b"no base64".to_vec(), "3"),
        ("GetItem", text, b"AAAAAAMKAW".to_vec(), "3"),
    ] {
        let answer = call(&env, method, kind, body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let headers = answer.headers().clone();
        let body = answer.bytes().await.unwrap();
        let in_body = frames(&body).into_iter().find(|(flag, _)| *flag == 0x80).map(|(_, trailers)| trailers.to_vec());
        let trailers = in_body.map_or_else(
            || format!("grpc-status:{}", headers["grpc-status"].to_str().unwrap()),
            |trailers| String::from_utf8(trailers).unwrap(),
        );
        assert!(trailers.contains(&format!("grpc-status:{status}")), "{method}: {trailers:?}");
    }
}

#[tokio::test]
async fn only_allowed_origin_may_read_answer() {
    let env = TestEnv::start(&["--cors-origins", "https://app.example.org"]).await;
    let asked = frame(&GetItemRequest { item_id: "a".into() });
    for (origin, allowed) in [("https://app.example.org", true), ("https://evil.example.org", false)] {
        let answer = call(&env, "GetItem", "application/grpc-web", asked.clone()).header("origin", origin).send();
        assert_eq!(answer.await.unwrap().headers().contains_key("access-control-allow-origin"), allowed, "{origin}");
    }
}

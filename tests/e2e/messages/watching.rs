//! GET /messages/watch: messages as server-sent events, as they are stored, each with the id to resume after.

use std::time::Duration;

use kit::mesh::{Someone, TestMesh};
use kit::test_env::{Front, TestEnv};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use super::{NOBODY, Two, send};

kit::on_each_env!(
    watcher_receives_messages_and_resumes,
    event_is_printed_as_in_history,
    reader_reconnects_by_last_event_id,
    invalid_watch_is_rejected_before_first_event,
    watch_ends_with_login,
    watch_ends_with_account,
    watch_ends_with_token,
);

/// A stream of server-sent events, read as EventSource does.
struct Events {
    response: Response,
    read: String,
    /// Id of the last event.
    id: String,
}

impl Events {
    async fn begin(mesh: &TestMesh, who: &Someone, peer: &Someone, after: Option<&Value>) -> Self {
        let after = after.and_then(|message| message["messageId"].as_str()).map(|id| format!("&after={id}"));
        let path = format!("/messages/watch?peerId={}{}", peer.id, after.unwrap_or_default());
        Self::of(mesh.request(Method::GET, &path).bearer_auth(&who.token)).await
    }

    async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut events = Self { response, read: String::new(), id: String::new() };
        // Before anything is sent, there is an id to resume after.
        let begin = events.block().await.expect("it begins at once");
        assert!(begin.starts_with(":\nretry: 3000\nid: "), "{begin}");
        events
    }

    /// Returns the next block of lines; `None` at the end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.read.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.read = rest;
                if let Some(id) = block.lines().find_map(|line| line.strip_prefix("id: ")) {
                    id.clone_into(&mut self.id);
                }
                return Some(block);
            }
            let chunk = tokio::time::timeout(Duration::from_secs(60), self.response.chunk()).await;
            match chunk.expect("something comes, or it ends").unwrap() {
                Some(chunk) => self.read.push_str(std::str::from_utf8(&chunk).unwrap()),
                None => return None,
            }
        }
    }

    /// Returns the data of the next event; `None` at the end.
    async fn data(&mut self) -> Option<String> {
        loop {
            let block = self.block().await?;
            if let Some(data) = block.lines().find_map(|line| line.strip_prefix("data: ")) {
                return Some(data.to_owned());
            }
        }
    }

    async fn next(&mut self) -> Option<Value> {
        let data: Value = serde_json::from_str(&self.data().await?).unwrap();
        assert_eq!(data["messageId"], self.id);
        Some(data)
    }

    async fn take(&mut self, count: usize) -> Vec<Value> {
        let mut taken = Vec::new();
        for _ in 0..count {
            taken.push(self.next().await.expect("another message"));
        }
        taken
    }
}

fn quickly(config: &mut mesh::Config) {
    config.messages.login_check_interval = Duration::from_millis(100);
    config.messages.watch_poll_interval = Duration::from_millis(100);
}

async fn watcher_receives_messages_and_resumes(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let Two { client, therapist, .. } = &Two::join(&mesh).await;
    // A conversation can be watched before its first message.
    let mut by_client = Events::begin(&mesh, client, therapist, None).await;
    let first = send(&mesh, client, therapist, "Hello,\nNoor").await.expect(201);
    let mut by_therapist = Events::begin(&mesh, therapist, client, None).await;
    let mut sent = vec![first];
    for number in 0..5 {
        sent.push(send(&mesh, therapist, client, &format!("answer {number}")).await.expect(201));
        sent.push(send(&mesh, client, therapist, &format!("question {number}")).await.expect(201));
    }
    assert_eq!(by_client.take(11).await, sent);
    assert_eq!(by_therapist.take(10).await, sent[1..], "from now on");
    drop(by_client);
    for seen in [0, 4, 10] {
        let mut again = Events::begin(&mesh, client, therapist, Some(&sent[seen])).await;
        assert_eq!(again.take(10 - seen).await, sent[seen + 1..]);
        if seen == 10 {
            let next = send(&mesh, therapist, client, "next").await.expect(201);
            assert_eq!((again.take(1).await, by_therapist.take(1).await), (vec![next.clone()], vec![next]));
        }
    }
    drop(by_therapist);
    mesh.stop().await;
}

async fn event_is_printed_as_in_history(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let Two { client, therapist, .. } = &Two::join(&mesh).await;
    send(&mesh, client, therapist, "Hello.").await.expect(201);
    let mut events = Events::begin(&mesh, client, therapist, None).await;
    let texts = ["\"quoted\", \\ and / and \t\r\n\n\ndata: x", "\u{2028}<&>é☃😀", "id: 1"];
    for text in texts {
        mesh.pass(Duration::from_millis(120));
        send(&mesh, therapist, client, text).await.expect(201);
    }
    let history = format!("/messages/history?senderId={}&receiverId={}", client.id, therapist.id);
    let request = mesh.request(Method::GET, &history).bearer_auth(&client.token);
    let printed = request.send().await.unwrap().text().await.unwrap();
    let mut listed: Vec<Value> = serde_json::from_str(&printed).unwrap();
    listed.pop().expect("the message before the watch");
    for text in texts {
        let data = events.data().await.unwrap();
        assert_eq!(serde_json::from_str::<Value>(&data).unwrap(), listed.pop().unwrap(), "{text:?}");
        // Envoy escapes more characters than JSON asks for.
        assert!(env.front == Front::Envoy || printed.contains(&data), "{data}");
    }
    drop(events);
    mesh.stop().await;
}

/// EventSource sends the id of the last event with its first URL, so that the header wins over an older `after`.
async fn reader_reconnects_by_last_event_id(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let Two { client, therapist, .. } = &Two::join(&mesh).await;
    let path = format!("/messages/watch?peerId={}", therapist.id);
    let again = async |path: &str, id: &str| {
        Events::of(mesh.request(Method::GET, path).bearer_auth(&client.token).header("last-event-id", id)).await
    };
    // The connection breaks before the first message, which is sent meanwhile.
    let id = Events::begin(&mesh, client, therapist, None).await.id;
    let mut sent = vec![send(&mesh, client, therapist, "first").await.expect(201)];
    let mut events = again(&path, &id).await;
    assert_eq!(events.take(1).await, sent);
    // From now on, and it breaks again.
    let id = Events::begin(&mesh, client, therapist, None).await.id;
    assert_eq!(id, sent[0]["messageId"]);
    for text in ["second", "third"] {
        sent.push(send(&mesh, client, therapist, text).await.expect(201));
    }
    assert_eq!(again(&path, &id).await.take(2).await, sent[1..]);
    assert_eq!(events.take(2).await, sent[1..]);

    let from_first = format!("{path}&after={}", sent[0]["messageId"].as_str().unwrap());
    assert_eq!(again(&from_first, sent[1]["messageId"].as_str().unwrap()).await.take(1).await, sent[2..]);
    for bad in ["x", "01KJQP9F40XYV5M3C2D7R8T6WQ"] {
        let request = mesh.request(Method::GET, &from_first).bearer_auth(&client.token).header("last-event-id", bad);
        let refused = kit::mesh::answer(request).await;
        refused.refused(400, "INVALID_FIELDS");
        assert_eq!(refused.bad_fields(), ["after"], "{bad}");
    }
    drop(events);
    mesh.stop().await;
}

async fn invalid_watch_is_rejected_before_first_event(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let Two { client, therapist, .. } = &Two::join(&mesh).await;
    let other = mesh.therapist("Omar", "Grief", "110001").await;
    let foreign = send(&mesh, client, &other, "Hello.").await.expect(201);
    let foreign = foreign["messageId"].as_str().unwrap();
    for (query, fields) in [
        (String::new(), &["peerId"][..]),
        ("peerId=x&after=y".to_owned(), &["after", "peerId"]),
        (format!("peerId={}", client.id), &["peerId"]),
        (format!("peerId={}&after={foreign}", therapist.id), &["after"]),
        (format!("peerId={NOBODY}&after={foreign}"), &["after"]),
    ] {
        let refused = mesh.get(&format!("/messages/watch?{query}"), client).await;
        refused.refused(400, "INVALID_FIELDS");
        assert_eq!(refused.bad_fields(), fields, "{query}");
    }
    let mut watching = Vec::new();
    for _ in 0..16 {
        watching.push(Events::begin(&mesh, client, therapist, None).await);
    }
    let path = format!("/messages/watch?peerId={}", therapist.id);
    mesh.get(&path, client).await.refused(429, "TOO_MANY_WATCHERS");
    drop(watching);
    // The dropped watches free their slots.
    kit::wait::until("there is room", async || {
        let asked = mesh.request(Method::GET, &path).bearer_auth(&client.token).send().await.unwrap();
        asked.status() == 200
    })
    .await;
    mesh.stop().await;
}

async fn watch_ends_with_login(env: TestEnv) {
    let mesh = TestMesh::start_with(env, quickly).await;
    let Two { client, therapist, .. } = &Two::join(&mesh).await;
    let elsewhere = mesh.login(&client.email, kit::mesh::PASSWORD).await;
    let mut ends = Events::begin(&mesh, client, therapist, None).await;
    let mut stays = Events::begin(&mesh, &elsewhere, therapist, None).await;
    let body = json!({"refreshToken": client.refresh});
    mesh.ask(Method::POST, "/auth/logout", Some(client), Some(body)).await.expect(200);
    assert_eq!(ends.next().await, None);
    let sent = send(&mesh, &elsewhere, therapist, "Still here.").await.expect(201);
    assert_eq!(stays.take(1).await, [sent]);
    drop(stays);
    mesh.stop().await;
}

async fn watch_ends_with_account(env: TestEnv) {
    let mesh = TestMesh::start_with(env, quickly).await;
    let Two { client, therapist, .. } = &Two::join(&mesh).await;
    let sent = send(&mesh, client, therapist, "Goodbye.").await.expect(201);
    let (mut own, mut peers) =
        (Events::begin(&mesh, client, therapist, None).await, Events::begin(&mesh, therapist, client, None).await);
    mesh.ask(Method::DELETE, &format!("/clients/{}", client.id), Some(client), None).await.expect(204);
    assert_eq!((own.next().await, peers.next().await), (None, None));
    let id = sent["messageId"].as_str().unwrap();
    let gone = mesh.get(&format!("/messages/watch?peerId={}&after={id}", client.id), therapist).await;
    assert_eq!(gone.bad_fields(), ["after"]);
    mesh.stop().await;
}

async fn watch_ends_with_token(env: TestEnv) {
    let mesh = TestMesh::start_with(env, quickly).await;
    let Two { client, therapist, .. } = &Two::join(&mesh).await;
    let mut events = Events::begin(&mesh, client, therapist, None).await;
    let sent = send(&mesh, client, therapist, "Hello.").await.expect(201);
    assert_eq!(events.take(1).await, std::slice::from_ref(&sent));
    mesh.pass(Duration::from_secs(15 * 60));
    assert_eq!(events.next().await, None);
    let path = format!("/messages/watch?peerId={}", therapist.id);
    mesh.get(&path, client).await.refused(401, "TOKEN_EXPIRED");
    // With a new token the caller resumes where the stream ended.
    let client = mesh.login(&client.email, kit::mesh::PASSWORD).await;
    let therapist = mesh.login(&therapist.email, kit::mesh::PASSWORD).await;
    let next = send(&mesh, &therapist, &client, "Hello again.").await.expect(201);
    let mut events = Events::begin(&mesh, &client, &therapist, Some(&sent)).await;
    assert_eq!(events.take(1).await, [next]);
    drop(events);
    mesh.stop().await;
}

//! Contract §2, rows /messages, and rules 13 and 14: messages between a client and a therapist.

mod watching;

use std::collections::HashSet;

use futures_util::future::join_all;
use kit::mesh::{Answer, Someone, TestMesh, answer};
use kit::test_env::TestEnv;
use reqwest::Method;
use serde_json::{Value, json};

kit::on_each_env!(
    messages_are_exchanged_with_unread_counts,
    invalid_message_names_every_bad_field,
    message_within_role_is_rejected,
    therapist_can_write_to_related_clients_only,
    client_needs_profile_to_begin_conversation,
    conversation_is_hidden_from_others,
    read_mark_never_moves_back,
    repeated_post_with_key_sends_one_message,
    parallel_messages_are_stored_once_in_one_order,
    pages_of_any_size_list_all,
    account_deletion_removes_conversations,
);

/// Initial time of the test clock.
const NOW: &str = "2100-01-01T00:00:00Z";
/// Well-formed id of no person or thing.
const NOBODY: &str = "01933b5e-7a4c-7def-8abc-0123456789ab";

/// A client and a therapist.
pub(crate) struct Two<'a> {
    pub(crate) mesh: &'a TestMesh,
    pub(crate) client: Someone,
    pub(crate) therapist: Someone,
}

impl<'a> Two<'a> {
    pub(crate) async fn join(mesh: &'a TestMesh) -> Self {
        Self { mesh, client: mesh.client("Asha").await, therapist: mesh.therapist("Noor", "Grief", "110001").await }
    }

    async fn history(&self, who: &Someone) -> Value {
        let path = format!("/messages/history?senderId={}&receiverId={}", self.client.id, self.therapist.id);
        self.mesh.get(&path, who).await.expect(200)
    }
}

pub(crate) async fn send(mesh: &TestMesh, from: &Someone, to: &Someone, text: &str) -> Answer {
    post(mesh, from, json!({"receiverId": to.id, "message": text})).await
}

async fn post(mesh: &TestMesh, from: &Someone, body: Value) -> Answer {
    mesh.ask(Method::POST, "/messages", Some(from), Some(body)).await
}

async fn read(mesh: &TestMesh, who: &Someone, peer: &Someone, message: &Value) -> Answer {
    let body = json!({"peerId": peer.id, "messageId": message["messageId"]});
    mesh.ask(Method::PUT, "/messages/read", Some(who), Some(body)).await
}

async fn conversations(mesh: &TestMesh, who: &Someone) -> Value {
    mesh.get("/messages/conversations", who).await.expect(200)
}

/// Returns the items of all pages of a list.
async fn pages(mesh: &TestMesh, who: &Someone, path: &str, size: usize) -> Vec<Value> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let page = mesh.get(&format!("{path}pageSize={size}&pageToken={token}"), who).await;
        let next = page.headers.get("x-next-page-token").map(|token| token.to_str().unwrap().to_owned());
        let items = page.expect(200);
        let items = items.as_array().unwrap();
        assert!(items.len() <= size);
        all.extend(items.clone());
        match next {
            Some(next) => token = next,
            None => return all,
        }
    }
}

async fn messages_are_exchanged_with_unread_counts(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let two = Two::join(&mesh).await;
    let Two { client, therapist, .. } = &two;
    for who in [client, therapist] {
        assert_eq!((two.history(who).await, conversations(&mesh, who).await), (json!([]), json!([])));
    }
    let asked = send(&mesh, client, therapist, "  Hello,\n\u{1F44B} ").await.expect(201);
    let expected = json!({
        "messageId": asked["messageId"], "senderId": client.id, "receiverId": therapist.id,
        "message": "  Hello,\n\u{1F44B} ", "timestamp": NOW,
    });
    assert_eq!(asked, expected);
    mesh.pass(std::time::Duration::from_secs(1));
    let own = json!({"receiverId": client.id, "message": "Hello.", "senderId": therapist.id});
    let answered = post(&mesh, therapist, own).await.expect(201);
    assert_eq!(answered["timestamp"], "2100-01-01T00:00:01Z");
    for who in [client, therapist] {
        assert_eq!(two.history(who).await, json!([answered, asked]), "newest first, the same for both");
    }
    let other_way = format!("/messages/history?senderId={}&receiverId={}", therapist.id, client.id);
    assert_eq!(mesh.get(&other_way, client).await.expect(200), json!([answered, asked]));

    let seen = |peer: &Someone, name: &str, unread: i32| json!([{"peerId": peer.id, "peerName": name, "lastMessage": answered, "unreadCount": unread}]);
    assert_eq!(conversations(&mesh, client).await, seen(therapist, "Noor", 1));
    assert_eq!(conversations(&mesh, therapist).await, seen(client, "Asha", 1), "who answers has not said to have read");
    let mark = read(&mesh, client, therapist, &answered).await.expect(200);
    assert_eq!(mark, json!({"peerId": therapist.id, "messageId": answered["messageId"], "unreadCount": 0}));
    assert_eq!(conversations(&mesh, client).await, seen(therapist, "Noor", 0));
    assert_eq!(conversations(&mesh, therapist).await, seen(client, "Asha", 1));
    // Each lists the other as related.
    let path = format!("/clients/{}/therapists", client.id);
    assert_eq!(mesh.get(&path, client).await.expect(200)[0]["therapistId"], json!(therapist.id));
    let path = format!("/therapists/{}/clients", therapist.id);
    assert_eq!(mesh.get(&path, therapist).await.expect(200)[0]["clientId"], json!(client.id));
    mesh.stop().await;
}

async fn invalid_message_names_every_bad_field(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let two = Two::join(&mesh).await;
    let Two { client, therapist, .. } = &two;
    let long = "é".repeat(10_001);
    for (body, fields) in [
        (json!({}), &["message", "receiverId"][..]),
        (json!({"receiverId": "somebody", "message": " \n\t"}), &["message", "receiverId"]),
        (json!({"receiverId": client.id, "message": "To myself."}), &["receiverId"]),
        (json!({"receiverId": therapist.id, "message": ""}), &["message"]),
        (json!({"receiverId": therapist.id, "message": long}), &["message"]),
        (json!({"receiverId": therapist.id, "message": "a\u{0}b"}), &["message"]),
    ] {
        let refused = post(&mesh, client, body.clone()).await;
        refused.refused(400, "INVALID_FIELDS");
        assert_eq!(refused.bad_fields(), fields, "{}", refused.body);
        assert!(!refused.body.to_string().contains("éé"), "what was written is not in the error");
    }
    let keyed =
        mesh.request(Method::POST, "/messages").bearer_auth(&client.token).header("idempotency-key", "k".repeat(256));
    let refused = answer(keyed.json(&json!({"receiverId": "x", "message": "Hello."}))).await;
    assert_eq!(refused.bad_fields(), ["Idempotency-Key", "receiverId"]);
    for other in [&therapist.id, NOBODY, "nobody"] {
        let body = json!({"receiverId": therapist.id, "message": "Hello.", "senderId": other});
        post(&mesh, client, body).await.refused(403, "NOT_YOUR_ACCOUNT");
    }
    post(&mesh, client, json!({"receiverId": therapist.id, "message": "é".repeat(10_000)})).await.expect(201);
    assert_eq!(two.history(client).await.as_array().unwrap().len(), 1);

    let refused = mesh.ask(Method::PUT, "/messages/read", Some(client), Some(json!({"peerId": "x"}))).await;
    refused.refused(400, "INVALID_FIELDS");
    assert_eq!(refused.bad_fields(), ["messageId", "peerId"]);
    assert_eq!(mesh.get("/messages/history", client).await.bad_fields(), ["receiverId", "senderId"]);
    let path = format!("/messages/history?senderId={}&receiverId=x&pageSize=-1", client.id);
    assert_eq!(mesh.get(&path, client).await.bad_fields(), ["pageSize", "receiverId"]);
    let path = format!("/messages/history?senderId={}&receiverId={}&pageToken=x", therapist.id, client.id);
    assert_eq!(mesh.get(&path, client).await.bad_fields(), ["pageToken"]);
    for (query, field) in [("pageSize=-1", "pageSize"), ("pageToken=x", "pageToken")] {
        assert_eq!(mesh.get(&format!("/messages/conversations?{query}"), client).await.bad_fields(), [field]);
    }
    mesh.stop().await;
}

async fn message_within_role_is_rejected(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let Two { client, therapist, .. } = &Two::join(&mesh).await;
    let (other_client, other_therapist) = (mesh.client("Bela").await, mesh.therapist("Omar", "Grief", "110001").await);
    let nobody = Someone { id: NOBODY.to_owned(), ..client.clone() };
    for (from, to) in [(client, &other_client), (client, &nobody), (therapist, &other_therapist), (therapist, &nobody)]
    {
        let refused = send(&mesh, from, to, "Hello.").await;
        refused.refused(404, "NOT_FOUND");
    }
    let anonymous = mesh.ask(Method::POST, "/messages", None, Some(json!({"receiverId": client.id, "message": "x"})));
    assert_eq!(anonymous.await.status, 401);
    mesh.stop().await;
}

/// Rule 13. A conversation that has begun goes on without one.
async fn client_needs_profile_to_begin_conversation(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (noor, omar) =
        (mesh.therapist("Noor", "Grief", "110001").await, mesh.therapist("Omar", "Grief", "110001").await);
    let asha = mesh.join("CLIENT").await;
    let mapping = json!({"therapistId": noor.id});
    mesh.ask(Method::POST, &format!("/mapping/{}", asha.id), Some(&asha), Some(mapping)).await.expect(201);
    for therapist in [&noor, &omar] {
        let refused = send(&mesh, &asha, therapist, "Hello.").await;
        assert!(refused.refused(400, "PROFILE_MISSING")["message"].as_str().unwrap().contains("POST /clients"));
        assert_eq!((refused.body["code"].clone(), conversations(&mesh, therapist).await), (json!(9), json!([])));
    }
    let path = format!("/therapists/{}/clients", omar.id);
    assert_eq!(mesh.get(&path, &omar).await.expect(200), json!([]), "nothing was recorded");

    send(&mesh, &noor, &asha, "Hello.").await.expect(201);
    send(&mesh, &asha, &noor, "Good morning.").await.expect(201);
    let profile = json!({"name": "Asha", "email": asha.email, "pincode": "110001"});
    mesh.ask(Method::POST, "/clients", Some(&asha), Some(profile)).await.expect(201);
    send(&mesh, &asha, &omar, "Hello.").await.expect(201);
    assert_eq!(conversations(&mesh, &omar).await[0]["peerName"], "Asha");
    mesh.stop().await;
}

async fn therapist_can_write_to_related_clients_only(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let two = Two::join(&mesh).await;
    let Two { client, therapist, .. } = &two;
    let nobody = Someone { id: NOBODY.to_owned(), ..client.clone() };
    let (refused, unknown) =
        (send(&mesh, therapist, client, "Hello.").await, send(&mesh, therapist, &nobody, "Hello.").await);
    refused.refused(404, "NOT_FOUND");
    assert_eq!(refused.body, unknown.body, "the same as for nobody");
    // The therapist's unanswered request is no relation; the mapping is.
    let request = json!({"therapistId": therapist.id, "requestType": "MAPPING"});
    mesh.ask(Method::POST, &format!("/mapping/{}/request", client.id), Some(therapist), Some(request))
        .await
        .expect(201);
    send(&mesh, therapist, client, "Hello.").await.refused(404, "NOT_FOUND");
    let mapping = json!({"therapistId": therapist.id});
    mesh.ask(Method::POST, &format!("/mapping/{}", client.id), Some(client), Some(mapping)).await.expect(201);
    send(&mesh, therapist, client, "Hello.").await.expect(201);
    assert_eq!(two.history(client).await[0]["senderId"], json!(therapist.id));
    mesh.stop().await;
}

async fn conversation_is_hidden_from_others(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let Two { client, therapist, .. } = &Two::join(&mesh).await;
    let sent = send(&mesh, client, therapist, "Between us.").await.expect(201);
    let (other_client, other_therapist) = (mesh.client("Bela").await, mesh.therapist("Omar", "Grief", "110001").await);
    for who in [&other_client, &other_therapist] {
        for (one, another) in [(&client.id, &therapist.id), (&therapist.id, &client.id)] {
            let path = |other: &str| format!("/messages/history?senderId={one}&receiverId={other}");
            let (existing, not) = (mesh.get(&path(another), who).await, mesh.get(&path(NOBODY), who).await);
            existing.refused(403, "NOT_YOUR_ACCOUNT");
            assert_eq!(existing.body, not.body, "the same whether there is something or not");
        }
        assert_eq!(conversations(&mesh, who).await, json!([]));
        for peer in [client, therapist] {
            read(&mesh, who, peer, &sent).await.refused(404, "NOT_FOUND");
        }
    }
    mesh.stop().await;
}

async fn read_mark_never_moves_back(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let Two { client, therapist, .. } = &Two::join(&mesh).await;
    let mut sent = Vec::new();
    for number in 0..4 {
        sent.push(send(&mesh, client, therapist, &format!("message {number}")).await.expect(201));
    }
    let unread = async || conversations(&mesh, therapist).await[0]["unreadCount"].as_i64().unwrap();
    assert_eq!(unread().await, 4);
    assert_eq!(read(&mesh, therapist, client, &sent[2]).await.expect(200)["unreadCount"], 1);
    let earlier = read(&mesh, therapist, client, &sent[0]).await.expect(200);
    assert_eq!((&earlier["messageId"], &earlier["unreadCount"]), (&sent[2]["messageId"], &json!(1)));
    assert_eq!(unread().await, 1);
    // A message of another conversation is not found in this one.
    let other = mesh.therapist("Omar", "Grief", "110001").await;
    let foreign = send(&mesh, client, &other, "Hello.").await.expect(201);
    read(&mesh, therapist, client, &foreign).await.refused(404, "NOT_FOUND");
    read(&mesh, client, therapist, &foreign).await.refused(404, "NOT_FOUND");
    assert_eq!(unread().await, 1);
    mesh.stop().await;
}

async fn repeated_post_with_key_sends_one_message(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let two = Two::join(&mesh).await;
    let Two { client, therapist, .. } = &two;
    let keyed = async |who: &Someone, to: &Someone, key: &str, text: &str| {
        let body = json!({"receiverId": to.id, "message": text});
        answer(
            mesh.request(Method::POST, "/messages").bearer_auth(&who.token).header("idempotency-key", key).json(&body),
        )
        .await
    };
    let all = join_all((0..12).map(|_| keyed(client, therapist, "once", "Hello."))).await;
    let all: Vec<_> = all.into_iter().map(|sent| sent.expect(201)).collect();
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{all:?}");
    keyed(client, therapist, "once", "Hello?").await.refused(409, "IDEMPOTENCY_KEY_REUSED");
    // Keys are per sender.
    keyed(therapist, client, "once", "Hello.").await.expect(201);
    assert_eq!(two.history(client).await.as_array().unwrap().len(), 2);
    mesh.stop().await;
}

async fn parallel_messages_are_stored_once_in_one_order(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let Two { client, therapist, .. } = &Two::join(&mesh).await;
    send(&mesh, client, therapist, "first").await.expect(201);
    let count = 200;
    let one = async |number: usize| {
        let (from, to) = if number.is_multiple_of(2) { (client, therapist) } else { (therapist, client) };
        send(&mesh, from, to, &format!("message {number}")).await.expect(201)
    };
    let sent = join_all((0..count).map(one)).await;
    let path = format!("/messages/history?senderId={}&receiverId={}&", client.id, therapist.id);
    let (by_client, by_therapist) = (pages(&mesh, client, &path, 200).await, pages(&mesh, therapist, &path, 33).await);
    assert_eq!(by_client, by_therapist);
    let id = |message: &Value| message["messageId"].as_str().unwrap().to_owned();
    assert!(by_client.iter().map(id).is_sorted_by(|one, next| one > next), "one order, each once");
    let listed: HashSet<_> = by_client.iter().map(id).collect();
    assert_eq!(listed.len(), count + 1);
    assert!(sent.iter().map(id).all(|id| listed.contains(&id)));
    let seen = conversations(&mesh, client).await;
    assert_eq!((&seen[0]["lastMessage"], &seen[0]["unreadCount"]), (&by_client[0], &json!(count / 2)));
    mesh.stop().await;
}

async fn pages_of_any_size_list_all(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let therapist = mesh.therapist("Noor", "Grief", "110001").await;
    let mut peers = Vec::new();
    for number in 0..7 {
        let client = mesh.client(&format!("Client {number}")).await;
        mesh.pass(std::time::Duration::from_millis(1));
        send(&mesh, &client, &therapist, "Hello.").await.expect(201);
        peers.insert(0, json!(client.id));
    }
    for size in [1, 3, 7, 8] {
        let listed = pages(&mesh, &therapist, "/messages/conversations?", size).await;
        assert_eq!(listed.iter().map(|it| it["peerId"].clone()).collect::<Vec<_>>(), peers, "newest first");
    }
    mesh.stop().await;
}

async fn account_deletion_removes_conversations(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let two = Two::join(&mesh).await;
    let Two { client, therapist, .. } = &two;
    let stays = mesh.client("Bela").await;
    for from in [client, &stays] {
        send(&mesh, from, therapist, "Hello.").await.expect(201);
        send(&mesh, therapist, from, "Hello.").await.expect(201);
    }
    mesh.ask(Method::DELETE, &format!("/clients/{}", client.id), Some(client), None).await.expect(204);
    kit::wait::until("the conversation is gone", async || {
        let left = conversations(&mesh, therapist).await;
        left.as_array().unwrap().iter().all(|it| it["peerId"] == json!(stays.id))
    })
    .await;
    assert_eq!(two.history(therapist).await, json!([]));
    send(&mesh, therapist, client, "Hello?").await.refused(404, "NOT_FOUND");
    send(&mesh, client, therapist, "Hello?").await.refused(401, "ACCOUNT_ENDED");
    assert_eq!(conversations(&mesh, therapist).await.as_array().unwrap().len(), 1);
    mesh.stop().await;
}

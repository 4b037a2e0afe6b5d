//! Ten thousand messages while callers retry and the mesh is killed: each acknowledged message is stored once, in one
//! order for both sides.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kit::mesh::Someone;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::process::Process;

/// Number of clients, and of therapists. Each client and each therapist write to each other, by `TASKS` tasks per
/// direction.
const EACH: usize = 2;
const TASKS: usize = 2;
const MESSAGES: usize = 10_000;
const SENDERS: usize = EACH * EACH * 2 * TASKS;
/// Numbers of acknowledgements at which the mesh is killed.
const KILLS: [usize; 2] = [MESSAGES / 3, 2 * MESSAGES / 3];
const PAUSE: Duration = Duration::from_millis(20);
/// Timeout of sending all messages.
const SENDING_TIMEOUT: Duration = Duration::from_secs(300);

/// A task that sends messages from one person to another.
struct Sender {
    from: Someone,
    to: String,
    number: usize,
}

impl Sender {
    /// Sends each message until the running mesh acknowledges it, and repeats some acknowledged ones. Returns the
    /// acknowledged messages.
    async fn run(self, url: watch::Receiver<String>, acknowledged: Arc<AtomicUsize>) -> Vec<Value> {
        let http = kit::mesh::http_client();
        let mut told = Vec::new();
        for number in 0..MESSAGES / SENDERS {
            let text = format!("sender {}, message {number}", self.number);
            let body = json!({"receiverId": self.to, "message": text});
            let send = async || {
                let url = url.borrow().clone();
                let request = http.post(format!("{url}/messages")).bearer_auth(&self.from.token);
                let answer = request.header("idempotency-key", &text).json(&body).send().await.ok()?;
                let status = answer.status().as_u16();
                let answer = answer.json::<Value>().await.ok()?;
                assert!(matches!(status, 201 | 503 | 504), "{status}: {answer}");
                (status == 201).then_some(answer)
            };
            let first = loop {
                match send().await {
                    Some(answer) => break answer,
                    None => tokio::time::sleep(PAUSE).await,
                }
            };
            // Repeats the request as after a lost answer.
            if (self.number * 31 + number).is_multiple_of(7)
                && let Some(again) = send().await
            {
                assert_eq!(again, first, "one key, one message");
            }
            acknowledged.fetch_add(1, Ordering::Relaxed);
            told.push(first);
        }
        told
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_messages_survive_kills_once_in_order() {
    let data = tempfile::tempdir().unwrap();
    let mut mesh = Process::start(data.path());
    let (mut clients, mut therapists) = (Vec::new(), Vec::new());
    for number in 0..EACH {
        let client = mesh.join(&format!("asha.{number}@example.org"), "CLIENT").await;
        let profile = json!({"name": "Asha", "email": client.email, "pincode": "110001"});
        mesh.ask(Method::POST, "/clients", Some(&client.token), Some(profile)).await.expect(201);
        clients.push(client);
        let therapist = mesh.join(&format!("noor.{number}@example.org"), "THERAPIST").await;
        let profile = json!({"name": "Noor", "email": therapist.email, "specialty": "Grief", "pincode": "110001"});
        mesh.ask(Method::POST, "/therapists", Some(&therapist.token), Some(profile)).await.expect(201);
        therapists.push(therapist);
    }
    for client in &clients {
        for therapist in &therapists {
            let mapped = json!({"therapistId": therapist.id});
            let path = format!("/mapping/{}", client.id);
            mesh.ask(Method::POST, &path, Some(&client.token), Some(mapped)).await.expect(201);
        }
    }

    let (tell, url) = watch::channel(mesh.url.clone());
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let mut senders = JoinSet::new();
    let pairs = clients.iter().flat_map(|client| therapists.iter().map(move |therapist| (client, therapist)));
    let directions = pairs.flat_map(|(client, therapist)| [(client, therapist), (therapist, client)]);
    for (number, (from, to)) in directions.flat_map(|pair| [pair; TASKS]).enumerate() {
        let sender = Sender { from: from.clone(), to: to.id.clone(), number };
        senders.spawn(sender.run(url.clone(), Arc::clone(&acknowledged)));
    }
    let sending = async {
        for kill in KILLS {
            while acknowledged.load(Ordering::Relaxed) < kill {
                tokio::time::sleep(PAUSE).await;
            }
            mesh.kill();
            mesh = Process::start(data.path());
            tell.send_replace(mesh.url.clone());
        }
        (mesh, senders.join_all().await.concat())
    };
    let (mesh, told) = tokio::time::timeout(SENDING_TIMEOUT, sending).await.expect("every message is acknowledged");
    assert_eq!(told.len(), MESSAGES / SENDERS * SENDERS);

    let told: HashMap<&str, &Value> = told.iter().map(|it| (it["messageId"].as_str().unwrap(), it)).collect();
    assert_eq!(told.len(), MESSAGES / SENDERS * SENDERS, "each has an id of its own");
    let mut found = 0;
    for client in &clients {
        for therapist in &therapists {
            let (seen, by_other) = (history(&mesh, client, therapist, 200), history(&mesh, therapist, client, 173));
            let (mut seen, by_other) = tokio::join!(seen, by_other);
            assert!(seen == by_other, "the same order for both");
            seen.reverse();
            let of_pair = [client.id.as_str(), therapist.id.as_str()];
            check(&seen, &told, of_pair);
            forwards(&mesh, client, therapist, &seen).await;
            found += seen.len();
        }
    }
    // Senders retry until they succeed, so every stored message was acknowledged.
    assert_eq!(found, told.len());
}

/// Reads a conversation page by page, newest first.
async fn history(mesh: &Process, who: &Someone, other: &Someone, size: usize) -> Vec<Value> {
    let (mut messages, mut token) = (Vec::new(), String::new());
    loop {
        let path =
            format!("/messages/history?senderId={}&receiverId={}&pageSize={size}&pageToken={token}", who.id, other.id);
        let page = mesh.ask(Method::GET, &path, Some(&who.token), None).await;
        let next = page.headers.get("x-next-page-token").map(|next| next.to_str().unwrap().to_owned());
        messages.extend(page.expect(200).as_array().unwrap().clone());
        match next {
            Some(next) => token = next,
            None => return messages,
        }
    }
}

/// Asserts that the conversation has each acknowledged message once, in the order of time, and those of one sender in
/// the order in which they were sent.
fn check(seen: &[Value], told: &HashMap<&str, &Value>, pair: [&str; 2]) {
    let of = |it: &&&Value| {
        pair.contains(&it["senderId"].as_str().unwrap()) && pair.contains(&it["receiverId"].as_str().unwrap())
    };
    assert_eq!(told.values().filter(of).count(), seen.len(), "none is lost, and none is doubled");
    let (mut ids, mut last) = (HashSet::new(), HashMap::new());
    for message in seen {
        let id = message["messageId"].as_str().unwrap();
        assert!(ids.insert(id), "twice: {message}");
        assert_eq!(told.get(id), Some(&message), "it is as it was acknowledged");
        let words: Vec<&str> = message["message"].as_str().unwrap().split([' ', ',']).collect();
        let number: usize = words.last().unwrap().parse().unwrap();
        let before = last.insert(words[1].to_owned(), number);
        assert_eq!(before.map_or(0, |before| before + 1), number, "in the order of its sender: {message}");
    }
    assert!(seen.is_sorted_by_key(|it| it["timestamp"].as_str().unwrap().parse::<kernel::Timestamp>().unwrap()));
}

/// Asserts that a watcher who resumes after the first message receives the rest in the same order.
async fn forwards(mesh: &Process, who: &Someone, other: &Someone, seen: &[Value]) {
    let after = seen[0]["messageId"].as_str().unwrap();
    let path = format!("/messages/watch?peerId={}&after={after}", other.id);
    let watched = async {
        let mut answer = mesh.request(Method::GET, &path).bearer_auth(&who.token).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let (mut messages, mut rest) = (Vec::new(), Vec::new());
        while messages.len() + 1 < seen.len() {
            rest.extend_from_slice(&answer.chunk().await.unwrap().expect("the stream goes on"));
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                if let Some(data) = line.strip_prefix(b"data:") {
                    messages.push(serde_json::from_slice::<Value>(data).unwrap());
                }
            }
        }
        messages
    };
    let watched = tokio::time::timeout(Duration::from_secs(60), watched).await.expect("all of them come");
    assert!(watched == seen[1..], "the same, and in the same order");
}

//! Schemathesis runs: valid and invalid requests generated from the OpenAPI document, with real logins of both roles,
//! through both fronts. Every answer must match the document: status, headers, type and schema.

use kit::engine::Engine;
use kit::mesh::{Someone, TestMesh};
use kit::test_env::{Front, TestEnv};
use reqwest::Method;
use serde_json::{Value, json};

use crate::tools::{DOCUMENT, output, python, script};

kit::on_each_env!(fronts: answers_to_clients_match_document, answers_to_therapists_match_document);

async fn answers_to_clients_match_document(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let practice = Practice::open(&mesh, env.front).await;
    practice.try_as(&practice.client, &practice.therapist, Effort::USUAL).await;
    mesh.stop().await;
}

async fn answers_to_therapists_match_document(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let practice = Practice::open(&mesh, env.front).await;
    practice.try_as(&practice.therapist, &practice.client, Effort::USUAL).await;
    mesh.stop().await;
}

/// Runs with many more requests and a new seed every time.
#[tokio::test]
#[ignore = "takes some twenty minutes: .ci/soak"]
async fn soak() {
    let seed = std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos();
    for env in [Engine::Embedded.into(), TestEnv::ENVOY] {
        let mesh = TestMesh::start(env).await;
        let practice = Practice::open(&mesh, env.front).await;
        let effort = Effort { examples: 300, seed };
        practice.try_as(&practice.client, &practice.therapist, effort).await;
        practice.try_as(&practice.therapist, &practice.client, effort).await;
        mesh.stop().await;
    }
}

/// Extent of a run.
#[derive(Clone, Copy)]
struct Effort {
    /// Random requests per operation, besides those derived from its schema.
    examples: u32,
    /// Seed of the random requests.
    seed: u32,
}

impl Effort {
    const USUAL: Self = Self { examples: 5, seed: 5 };
}

/// Fixture: a client and a therapist with objects of every kind.
struct Practice<'a> {
    mesh: &'a TestMesh,
    front: Front,
    client: Someone,
    therapist: Someone,
    /// Existing ids, by field name.
    ids: Value,
}

impl<'a> Practice<'a> {
    async fn open(mesh: &'a TestMesh, front: Front) -> Self {
        let (client, therapist) =
            (mesh.client("Asha Rao").await, mesh.therapist("Noor Haddad", "Grief", "110001").await);
        let unrelated = mesh.client("Mira Sandhu").await;
        let mut practice = Self { mesh, front, client, therapist, ids: Value::Null };
        let Self { client, therapist, .. } = &practice;
        let pair = json!({"therapistId": therapist.id});
        practice.post(client, &format!("/mapping/{}", client.id), pair).await;
        let grant = format!("/journal/{}/access?therapistId={}", client.id, therapist.id);
        let granted = json!({"access": "ACCEPTED"});
        mesh.ask(Method::PUT, &grant, Some(client), Some(granted)).await.expect(200);

        let (mut entries, mut sessions, mut appointments, mut messages) = (vec![], vec![], vec![], vec![]);
        for day in 1..=4 {
            let entry = json!({"emotion": "lonely", "intensity": 1 + day % 5, "timestamp": format!("2026-01-0{day}T08:00:00Z")});
            entries.push(practice.made(client, &format!("/journal/{}", client.id), entry, "entryId").await);
            let date = format!("2100-02-0{day}T00:00:00Z");
            let slot = json!({"sessionDate": date, "startTime": "10:00", "endTime": "10:50"});
            sessions.push(practice.made(therapist, "/sessions", slot, "sessionId").await);
            let wanted = json!({"therapistId": therapist.id, "sessionId": sessions.last(), "appointmentDate": date});
            appointments.push(practice.made(client, "/appointments", wanted, "appointmentId").await);
            let message = json!({"receiverId": therapist.id, "message": "Could we find another day?"});
            messages.push(practice.made(client, "/messages", message, "messageId").await);
        }
        let deletable = json!({"entryId": entries.split_off(2), "sessionId": sessions.split_off(2),
            "appointmentId": appointments.split_off(2)});
        // Each of these messages has a later one, so that a watch receives an event.
        messages.pop();
        practice.ids = json!({"clientId": [client.id], "therapistId": [therapist.id], "entryId": entries, "sessionId": sessions,
            "appointmentId": appointments, "messageId": messages, "after": messages, "deletable": deletable,
            "unrelated": [unrelated.id]});
        practice
    }

    async fn post(&self, who: &Someone, path: &str, body: Value) -> Value {
        self.mesh.ask(Method::POST, path, Some(who), Some(body)).await.expect(201)
    }

    async fn made(&self, who: &Someone, path: &str, body: Value, id: &str) -> String {
        self.post(who, path, body).await[id].as_str().unwrap().to_owned()
    }

    /// Runs schemathesis as one of the two.
    async fn try_as(&self, who: &Someone, peer: &Someone, effort: Effort) {
        let is_client = who.id == self.client.id;
        let deletable_account = if is_client {
            self.mesh.client("Omar").await
        } else {
            self.mesh.therapist("Omar", "Grief", "110001").await
        };
        let mut ids = self.ids.clone();
        ids["peerId"] = json!([peer.id]);
        ids["receiverId"] = json!([peer.id]);
        ids["senderId"] = json!([who.id]);
        ids["deletable_accounts"] = json!([{"id": deletable_account.id, "token": deletable_account.token}]);

        let made = tempfile::tempdir().unwrap();
        let mut st = python("st").await;
        st.current_dir(made.path()).env("PYTHONPATH", script("python"));
        st.env("TOKEN", &who.token).env("PRACTICE", ids.to_string());
        st.arg("--config-file").arg(script("schemathesis.toml")).args(["run", DOCUMENT, "--url", &self.mesh.url]);
        st.args(["--max-examples", &effort.examples.to_string(), "--seed", &effort.seed.to_string()]);
        if self.front == Front::Envoy {
            // Only the embedded front has the page and the document.
            st.args(["--exclude-path", "/docs", "--exclude-path", "/openapi.yaml"]);
        }
        let said = output(&mut st).await;
        assert!(said.contains(" passed, "), "{said}");
    }
}

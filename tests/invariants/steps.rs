//! Requests of a client and a therapist about their relation and the journal, over REST.

use kit::mesh::{Answer, Someone, TestMesh};
use reqwest::Method;
use serde_json::{Value, json};

/// Name of the client of a pair.
pub(crate) const CLIENT_NAME: &str = "Asha";

/// A client and a therapist, with the requests they make.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) client: Someone,
    pub(crate) therapist: Someone,
}

impl Pair {
    /// Registers a client and a therapist without a relation.
    pub(crate) async fn strangers(mesh: &TestMesh) -> Self {
        let (client, therapist) = tokio::join!(mesh.client(CLIENT_NAME), mesh.therapist("Noor", "Grief", "110001"));
        Self { client, therapist }
    }

    /// Registers a client and a therapist who are mapped, with access to the journal.
    pub(crate) async fn with_access(mesh: &TestMesh) -> Self {
        let pair = Self::strangers(mesh).await;
        pair.map(mesh).await.expect(201);
        pair.grant(mesh).await.expect(200);
        pair
    }

    /// The client maps the therapist.
    pub(crate) async fn map(&self, mesh: &TestMesh) -> Answer {
        let body = json!({"therapistId": self.therapist.id});
        mesh.ask(Method::POST, &self.mapping(""), Some(&self.client), Some(body)).await
    }

    /// The therapist asks for a mapping or for access to the journal.
    pub(crate) async fn request(&self, mesh: &TestMesh, kind: &str) -> Answer {
        let body = json!({"therapistId": self.therapist.id, "requestType": kind});
        mesh.ask(Method::POST, &self.mapping("/request"), Some(&self.therapist), Some(body)).await
    }

    /// The client answers a mapping request.
    pub(crate) async fn answer(&self, mesh: &TestMesh, status: &str) -> Answer {
        let path = format!("{}?therapistId={}", self.mapping(""), self.therapist.id);
        mesh.ask(Method::PUT, &path, Some(&self.client), Some(json!({"status": status}))).await
    }

    /// The client changes the access to the journal.
    pub(crate) async fn access(&self, mesh: &TestMesh, change: Value) -> Answer {
        let path = format!("/journal/{}/access?therapistId={}", self.client.id, self.therapist.id);
        mesh.ask(Method::PUT, &path, Some(&self.client), Some(change)).await
    }

    /// The client grants access to the whole journal.
    pub(crate) async fn grant(&self, mesh: &TestMesh) -> Answer {
        self.access(mesh, json!({"access": "ACCEPTED"})).await
    }

    /// The client ends the access, and leaves the mapping.
    pub(crate) async fn end_access(&self, mesh: &TestMesh) -> Answer {
        let path = format!("{}?therapistId={}", self.mapping("/access"), self.therapist.id);
        mesh.ask(Method::DELETE, &path, Some(&self.client), None).await
    }

    /// The client or the therapist ends the mapping.
    pub(crate) async fn end(&self, mesh: &TestMesh, by: &Someone) -> Answer {
        let path = format!("{}?therapistId={}", self.mapping(""), self.therapist.id);
        mesh.ask(Method::DELETE, &path, Some(by), None).await
    }

    /// The client adds an entry.
    pub(crate) async fn write(&self, mesh: &TestMesh, entry: Value) -> Answer {
        mesh.ask(Method::POST, &format!("/journal/{}", self.client.id), Some(&self.client), Some(entry)).await
    }

    /// Waits until the client finds a word in the own journal. The index lags behind what was written.
    pub(crate) async fn until_found(&self, mesh: &TestMesh, word: &str) {
        let path = format!("/search?in=JOURNAL&q={word}");
        let is_found = async || {
            let hits = mesh.get(&path, &self.client).await.expect(200);
            hits.as_array().is_some_and(|hits| !hits.is_empty())
        };
        kit::wait::until("the word is found", is_found).await;
    }

    /// Returns a path below the client's journal.
    pub(crate) fn journal(&self, rest: &str) -> String {
        format!("/journal/{}{rest}", self.client.id)
    }

    fn mapping(&self, rest: &str) -> String {
        format!("/mapping/{}{rest}", self.client.id)
    }
}

/// Returns an entry of an hour ago.
pub(crate) fn entry(mesh: &TestMesh, emotion: &str, note: &str) -> Value {
    use kernel::Clock as _;
    let hour_ago = mesh.clock.now().checked_sub(std::time::Duration::from_secs(3600)).unwrap();
    json!({"emotion": emotion, "intensity": 3, "timestamp": hour_ago.to_string(), "note": note})
}

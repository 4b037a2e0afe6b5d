//! Native gRPC clients that learn the types by reflection. Only the embedded front has reflection: behind Envoy no
//! service knows all types, so clients get the descriptors from a file.

use std::collections::BTreeSet;

use kit::engine::Engine;
use kit::envoy::Envoy;
use kit::mesh::{Someone, TestMesh};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::tools::{ROOT, error_output, output, python, script, tool};

const JOURNALS: &str = "therapy.journals.v1.JournalService";

#[tokio::test]
async fn python_grpc_client_plays_story() {
    let mesh = TestMesh::start(Engine::Embedded).await;
    let envoy = mesh.envoy().await;
    let embedded = address(&mesh.url);
    for target in [embedded, address(&envoy.url())] {
        let mut story = python("python").await;
        let story = story.arg(script("python/story_grpc.py")).args([embedded, target]);
        assert_eq!(output(story).await, "played\n");
    }
    drop(envoy);
    mesh.stop().await;
}

#[tokio::test]
async fn reflection_lists_public_rpcs_only() {
    let mesh = TestMesh::start(Engine::Embedded).await;
    let grpcurl = Grpcurl::of(address(&mesh.url)).await;

    let listed = grpcurl.prints(&[], &["list"]).await;
    let listed: BTreeSet<_> = listed.lines().filter(|name| name.starts_with("therapy.")).collect();
    let public = proto::RPCS.iter().filter(|rpc| !rpc.is_internal()).map(proto::Rpc::service);
    assert_eq!(listed, public.collect::<BTreeSet<_>>());

    for service in &listed {
        let methods = grpcurl.prints(&[], &["list", service]).await;
        let methods: BTreeSet<_> = methods.lines().map(str::to_owned).collect();
        let of_this = proto::RPCS.iter().filter(|rpc| !rpc.is_internal() && rpc.service() == *service);
        assert_eq!(methods, of_this.map(|rpc| rpc.path[1..].replace('/', ".")).collect());
    }
    let described = grpcurl.prints(&[], &["describe", &format!("{JOURNALS}.CreateEntry")]).await;
    assert!(described.contains(".therapy.journals.v1.CreateEntryRequest"), "{described}");
    let described = grpcurl.prints(&[], &["describe", "therapy.journals.v1.JournalEntry"]).await;
    assert!(described.contains("Visibility visibility"), "{described}");

    for rpc in proto::RPCS.iter().filter(|rpc| rpc.is_internal()) {
        let symbol = rpc.path[1..].replace('/', ".");
        let error_output = grpcurl.fails(&[], &["describe", &symbol]).await;
        assert!(error_output.contains("not found"), "{symbol}: {error_output}");
    }
    mesh.stop().await;
}

#[tokio::test]
async fn both_reflection_versions_are_at_front_and_services() {
    let mesh = TestMesh::start(Engine::Embedded).await;
    let services = proto::registry::NAMES.map(|name| mesh.service(name));
    let mut reflection = python("python").await;
    let reflection = reflection.arg(script("python/reflection.py")).arg(address(&mesh.url));
    let printed = output(reflection.args(services.iter().map(|url| address(url)))).await;
    let listed: Vec<Value> = serde_json::from_str(&printed).unwrap();
    for listed in &listed {
        assert_eq!(listed["v1"], listed["v1alpha"]);
    }
    let shows = |at: usize, name: &str| listed[at]["v1"].as_array().unwrap().iter().any(|it| it == name);
    assert!(shows(0, JOURNALS) && !shows(0, "therapy.events.v1.SubscriberService"), "{printed}");
    assert!(shows(1, "therapy.auth.v1.AuthService") && !shows(1, JOURNALS), "{printed}");
    assert!((1..listed.len()).all(|at| shows(at, "grpc.health.v1.Health")), "{printed}");
    mesh.stop().await;
}

#[tokio::test]
async fn python_grpc_client_follows_service_config() {
    let config = format!("{ROOT}/proto/service_config.json");
    let mut client = python("python").await;
    assert_eq!(output(client.arg(script("python/service_config.py")).arg(config)).await, "followed\n");
}

#[tokio::test]
async fn grpcurl_calls_with_token_succeed() {
    let mesh = TestMesh::start(Engine::Embedded).await;
    let envoy = mesh.envoy().await;
    let asha = mesh.client("Asha Rao").await;
    for grpcurl in [Grpcurl::of(address(&mesh.url)).await, Grpcurl::behind(&envoy).await] {
        grpcurl.writes_and_reads_an_entry(&asha).await;
    }
    drop(envoy);
    mesh.stop().await;
}

#[tokio::test]
async fn internal_rpcs_are_unimplemented_at_fronts() {
    let mesh = TestMesh::start(Engine::Embedded).await;
    let envoy = mesh.envoy().await;
    let asha = mesh.client("Asha Rao").await;
    for front in [address(&mesh.url), address(&envoy.url())] {
        let grpcurl = Grpcurl::with_types(front).await;
        for rpc in proto::RPCS.iter().filter(|rpc| rpc.is_internal()) {
            let error_output = grpcurl.is_refused(&asha.token, &rpc.path[1..]).await;
            assert!(error_output.contains("Code: Unimplemented"), "{} at {front}: {error_output}", rpc.path);
            // A workload token, which services accept from each other, is not accepted at a front.
            let error_output = grpcurl.is_refused(&mesh.workload_token("journals"), &rpc.path[1..]).await;
            let refusals = ["Code: Unimplemented", "Code: Unauthenticated"];
            assert!(refusals.iter().any(|code| error_output.contains(code)), "{} at {front}: {error_output}", rpc.path);
        }
    }
    drop(envoy);
    mesh.stop().await;
}

fn address(url: &str) -> &str {
    url.strip_prefix("http://").unwrap()
}

/// The grpcurl program and the front that it calls.
struct Grpcurl {
    program: std::path::PathBuf,
    /// Descriptor file, unless reflection is used.
    types: Option<tempfile::NamedTempFile>,
    front: String,
}

impl Grpcurl {
    /// Learns the types by reflection.
    async fn of(front: &str) -> Self {
        Self { program: tool("grpcurl").await, types: None, front: front.to_owned() }
    }

    /// Reads the types from a descriptor file.
    async fn with_types(front: &str) -> Self {
        let types = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(types.path(), proto::DESCRIPTOR_SET).unwrap();
        Self { types: Some(types), ..Self::of(front).await }
    }

    async fn behind(envoy: &Envoy) -> Self {
        Self::with_types(address(&envoy.url())).await
    }

    fn command(&self, flags: &[&str], rest: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["-plaintext", "-max-time", "20"]);
        if let Some(types) = &self.types {
            command.arg("-protoset").arg(types.path());
        }
        command.args(flags).arg(&self.front).args(rest);
        command
    }

    async fn prints(&self, flags: &[&str], rest: &[&str]) -> String {
        output(&mut self.command(flags, rest)).await
    }

    async fn fails(&self, flags: &[&str], rest: &[&str]) -> String {
        error_output(&mut self.command(flags, rest)).await
    }

    async fn is_refused(&self, token: &str, method: &str) -> String {
        self.fails(&["-H", &format!("authorization: Bearer {token}")], &[method]).await
    }

    async fn call(&self, who: &Someone, method: &str, request: &Value) -> Value {
        let (header, request) = (format!("authorization: Bearer {}", who.token), request.to_string());
        let printed = self.prints(&["-H", &header, "-d", &request], &[method]).await;
        serde_json::from_str(&printed).unwrap()
    }

    async fn writes_and_reads_an_entry(&self, asha: &Someone) {
        let create = format!("{JOURNALS}/CreateEntry");
        let entry = json!({"emotion": "hopeful", "intensity": 3, "timestamp": "2026-01-05T21:30:00Z", "note": "Rain."});
        let request = json!({"clientId": asha.id, "entry": entry});
        let made = self.call(asha, &create, &request).await;
        let list = self.call(asha, &format!("{JOURNALS}/ListEntries"), &json!({"clientId": asha.id})).await;
        let read = list["entries"].as_array().unwrap();
        assert!(read.iter().any(|entry| entry["entryId"] == made["entryId"] && entry["note"] == "Rain."), "{list}");

        let nobody = self.fails(&["-d", &request.to_string()], &[&create]).await;
        assert!(nobody.contains("Code: Unauthenticated"), "{nobody}");
        let header = format!("authorization: Bearer {}", asha.token);
        let bad = json!({"clientId": asha.id, "entry": {"emotion": "", "intensity": 9}}).to_string();
        let bad = self.fails(&["-H", &header, "-d", &bad], &[&create]).await;
        assert!(bad.contains("Code: InvalidArgument") && bad.contains(r#""field":"intensity""#), "{bad}");
    }
}

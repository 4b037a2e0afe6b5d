//! The services that each service calls, as its Cargo.toml declares them. Besides, all ask auth for its keys, and outboxes
//! deliver events.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs;
use std::path::Path;

/// Each service with those that it calls.
const CALLS: [(&str, &[&str]); 11] = [
    ("appointments", &["mapping", "sessions"]),
    ("audit", &["therapists"]),
    ("auth", &[]),
    ("clients", &["appointments", "auth", "mapping"]),
    ("journals", &["audit", "mapping", "vault"]),
    ("mapping", &["auth", "clients", "therapists"]),
    ("messages", &["auth", "clients", "mapping", "therapists", "vault"]),
    ("search", &["audit", "clients", "journals", "mapping", "sessions", "vault"]),
    ("sessions", &["mapping", "vault"]),
    ("therapists", &["auth"]),
    ("vault", &[]),
];

#[test]
fn services_call_only_the_listed_ones() {
    for (service, calls) in CALLS {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../services/{service}/Cargo.toml"));
        assert_eq!(called(&fs::read_to_string(manifest).unwrap()), calls, "{service}");
    }
}

#[test]
fn picture_in_readme_shows_the_listed_calls() {
    let readme = fs::read_to_string(format!("{}/README.md", contract::ROOT)).unwrap();
    let picture = readme.split("subgraph mesh").nth(1).unwrap().split("    end\n").next().unwrap();
    let rows = picture.lines().filter_map(|line| line.trim().split_once(" --> "));
    let shown: Vec<_> = rows.map(|(service, calls)| (service, calls.split(" & ").collect::<Vec<_>>())).collect();
    let listed: Vec<_> = CALLS.into_iter().filter(|(_, calls)| !calls.is_empty()).collect();
    assert_eq!(shown, listed.iter().map(|(service, calls)| (*service, calls.to_vec())).collect::<Vec<_>>());
}

#[test]
fn clients_are_read_from_dependencies_alone() {
    let manifest = "[dependencies]\nkeyring.workspace = true\n\
                    peers = { workspace = true, features = [\"auth\", \"mapping\"] }\n\
                    proto = { workspace = true, features = [\"audit-server\", \"sessions-client\"] }\n\
                    [dev-dependencies]\nproto = { workspace = true, features = [\"clients-client\"] }\n";
    assert_eq!(called(manifest), ["auth", "mapping", "sessions", "vault"]);
}

/// Returns the services whose clients a manifest declares: features of `peers`, `…-client` features of `proto`, and the
/// keyring, which is a client of vault.
fn called(manifest: &str) -> Vec<&str> {
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let features = |name: &str| {
        let line = dependencies.lines().find(|line| line.starts_with(&format!("{name} = {{"))).unwrap_or_default();
        line.split('"').skip(1).step_by(2).collect::<Vec<_>>()
    };
    let of_proto = features("proto").into_iter().filter_map(|feature| feature.strip_suffix("-client"));
    let keyring = dependencies.lines().any(|line| line == "keyring.workspace = true");
    let mut called: Vec<_> = features("peers").into_iter().chain(of_proto).chain(keyring.then_some("vault")).collect();
    called.sort_unstable();
    called
}

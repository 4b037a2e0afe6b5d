//! Tests that run through the embedded front alone, each with the reason. The list may only shrink: a test checks that
//! every other test of the suite runs through Envoy as well.

use std::fs;
use std::path::Path;

use kit::engine::Engine;
use kit::mesh::TestMesh;
use reqwest::Method;
use serde_json::json;

kit::on_each_engine!(mistyped_request_names_every_bad_field);

/// Maximum number of tests that run through the embedded front alone.
const MOST: usize = 1;

const SUITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/e2e");

#[test]
fn other_tests_run_through_envoy_too() {
    let mut unseen = vec![Path::new(SUITE).to_path_buf()];
    let mut tests = 0;
    while let Some(directory) = unseen.pop() {
        for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                unseen.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            if path.ends_with("embedded_only.rs") {
                let rules = text.lines().filter(|line| line.starts_with("async fn "));
                assert!(rules.count() <= MOST, "the exclusions may only shrink");
            } else {
                for alone in ["#[test]", "#[tokio::test", "on_each_engine!"] {
                    assert!(!text.contains(alone), "{} in {}", alone, path.display());
                }
                tests += text.matches("(env: TestEnv) {").count();
            }
        }
    }
    assert!(tests > 100, "the tests were found: {tests}");
}

/// Envoy's transcoder stops at the first value that its field can't hold, so the refusal names that field alone.
async fn mistyped_request_names_every_bad_field(engine: Engine) {
    let mesh = TestMesh::shared(engine).await;
    let asha = mesh.join("CLIENT").await;
    let profile = json!({"name": 7, "email": ["x"], "pincode": {"a": 1}});
    let refused = mesh.ask(Method::POST, "/clients", Some(&asha), Some(profile)).await;
    refused.refused(400, "INVALID_FIELDS");
    assert_eq!(refused.bad_fields(), ["email", "name", "pincode"]);
    assert_eq!(mesh.get("/clients", &asha).await.expect(200), json!([]), "nothing was written");
    let path = format!("/journal/{}", asha.id);
    let entry = json!({"emotion": "", "intensity": 9, "timestamp": "x"});
    let mistyped = mesh.ask(Method::POST, &path, Some(&asha), Some(entry)).await;
    mistyped.refused(400, "INVALID_FIELDS");
    assert_eq!(mistyped.bad_fields(), ["emotion", "intensity", "timestamp"]);
    // The front and the service tell the same faults in the same words.
    let entry = json!({"emotion": "", "intensity": 9, "timestamp": "2099-01-01T00:00:00Z"});
    let invalid = mesh.ask(Method::POST, &path, Some(&asha), Some(entry)).await;
    assert_eq!(invalid.bad_fields(), ["emotion", "intensity"]);
    assert_eq!(mistyped.violations()[..2], invalid.violations()[..]);
    mesh.stop().await;
}

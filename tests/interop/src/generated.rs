//! Clients generated from the OpenAPI document, as app developers generate theirs. Each test generates its client
//! again: no generated code is committed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use kit::mesh::TestMesh;
use kit::test_env::TestEnv;
use tokio::process::Command;

use crate::tools::{DOCUMENT, output, python, script, tool};

kit::on_each_env!(fronts: generated_python_client_plays_story, generated_typescript_client_plays_story);

async fn generated_python_client_plays_story(env: TestEnv) {
    let made = tempfile::tempdir().unwrap();
    let package = "therapy_journaling_client";
    let mut generator = python("openapi-python-client").await;
    // Only the package, without project files.
    generator.args(["generate", "--meta", "none", "--path", DOCUMENT, "--config"]);
    generator.arg(script("python/openapi-python-client.yaml")).arg("--output-path");
    let said = output(generator.arg(made.path().join(package)).current_dir(made.path())).await;
    assert!(!said.contains("Warning"), "{said}");

    let mesh = TestMesh::start(env).await;
    let mut story = python("python").await;
    let story = story.arg(script("python/story_openapi.py")).arg(made.path()).arg(&mesh.url);
    assert_eq!(output(story).await, "played\n");
    mesh.stop().await;
}

async fn generated_typescript_client_plays_story(env: TestEnv) {
    let made = tempfile::tempdir().unwrap();
    let modules = tool("npm").await.join("node_modules");
    copy(&script("typescript"), made.path());
    symlink(&modules, made.path().join("node_modules")).unwrap();
    let program = |name: &str| {
        let mut command = Command::new(modules.join(".bin").join(name));
        command.current_dir(made.path());
        command
    };
    output(program("openapi-ts").args(["--no-log-file", "--input", DOCUMENT])).await;
    output(program("tsc").args(["--project", "."])).await;

    let mesh = TestMesh::start(env).await;
    let mut story = Command::new("node");
    let story = story.arg(made.path().join("compiled/story.js")).arg(&mesh.url);
    assert_eq!(output(story).await, "played\n");
    mesh.stop().await;
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

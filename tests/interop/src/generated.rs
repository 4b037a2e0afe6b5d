//! Clients generated from the OpenAPI document, as app developers generate theirs. Each test generates its client
//! again: no generated code is committed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use kit::mesh::TestMesh;
use kit::test_env::TestEnv;
use tokio::process::Command;

use crate::tools::{DOCUMENT, ROOT, output, python, script, tool};

kit::on_each_env!(fronts: generated_python_client_plays_story, generated_typescript_clients_play_story);

async fn generated_python_client_plays_story(env: TestEnv) {
    let made = tempfile::tempdir().unwrap();
    let package = "therapy_journaling_client";
    let mut generator = python("openapi-python-client").await;
    // Only the package, without project files.
    generator.args(["generate", "--meta", "none", "--path", DOCUMENT, "--config"]);
    generator.arg(script("python/openapi-python-client.yaml")).arg("--output-path");
    let said = output(generator.arg(made.path().join(package)).current_dir(made.path())).await;
    assert!(!said.contains("Warning"), "{said}");
    let mut types = python("mypy").await;
    types.env("MYPYPATH", made.path()).arg("--config-file").arg(script("python/mypy.ini"));
    types.arg("--cache-dir").arg(made.path().join("types"));
    output(types.arg(script("python/story_openapi.py"))).await;

    let mesh = TestMesh::start(env).await;
    let mut story = python("python").await;
    let story = story.arg(script("python/story_openapi.py")).arg(made.path()).arg(&mesh.url);
    assert_eq!(output(story).await, "played\n");
    mesh.stop().await;
}

async fn generated_typescript_clients_play_story(env: TestEnv) {
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
    output(program("openapi-typescript").args([DOCUMENT, "--output", "schema.ts"])).await;
    output(program("tsc").args(["--project", "."])).await;

    let mesh = TestMesh::start(env).await;
    for story in ["story.js", "story_fetch.js"] {
        let mut node = Command::new("node");
        let node = node.arg(made.path().join("compiled").join(story)).arg(&mesh.url);
        assert_eq!(output(node).await, "played\n", "{story}");
    }
    mesh.stop().await;
}

/// docs/clients.md shows the helpers that the stories use.
#[test]
fn documented_helpers_are_those_of_the_stories() {
    let text = fs::read_to_string(format!("{ROOT}/docs/clients.md")).unwrap();
    for (language, path) in [("python", "python/pages.py"), ("ts", "typescript/pages.ts")] {
        let helper = fs::read_to_string(script(path)).unwrap();
        assert!(
            text.contains(&format!("```{language}\n{helper}```\n")),
            "docs/clients.md does not show {path} as it is"
        );
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

//! The page at `/docs` in a browser. It is the embedded front's alone: Envoy serves no files.

use kit::engine::Engine;
use kit::mesh::TestMesh;
use tokio::process::Command;

use crate::tools::{output, script, tool};

#[tokio::test]
async fn a_newcomer_logs_in_on_the_page_writes_an_entry_and_sees_it_listed() {
    let (chromium, modules) = (tool("chromium").await, tool("npm").await.join("node_modules"));
    let mesh = TestMesh::start(Engine::Embedded).await;
    let mut node = Command::new("node");
    let node = node.arg(script("browser/page.mjs")).arg(&mesh.url).arg(chromium).arg(modules);
    assert_eq!(output(node).await, "played\n");
    mesh.stop().await;
}

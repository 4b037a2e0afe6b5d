//! Browser test of the page at `/docs`, which only the embedded front has: Envoy serves no files.

use kit::engine::Engine;
use kit::mesh::TestMesh;
use tokio::process::Command;

use crate::tools::{output, script, tool};

#[tokio::test]
async fn docs_page_supports_login_and_journal_entry() {
    let (chromium, modules) = (tool("chromium").await, tool("npm").await.join("node_modules"));
    let mesh = TestMesh::start(Engine::Embedded).await;
    let mut node = Command::new("node");
    let node = node.arg(script("browser/page.mjs")).arg(&mesh.url).arg(chromium).arg(modules);
    assert_eq!(output(node).await, "played\n");
    mesh.stop().await;
}

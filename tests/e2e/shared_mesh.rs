//! The kind of mesh that most tests of this suite share: one with many handles, each used on a runtime that ends.

use kit::mesh::TestMesh;
use kit::test_env::TestEnv;
use tokio::runtime::Builder;

kit::on_each_env!(mesh_used_from_ended_runtimes_stops_quietly);

const HANDLES: usize = 4;

async fn mesh_used_from_ended_runtimes_stops_quietly(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let uses = (0..HANDLES).map(|_| {
        let handle = mesh.handle();
        tokio::task::spawn_blocking(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let who = handle.client("Asha").await;
                handle.get("/auth/me", &who).await.expect(200);
                handle.stop().await;
            });
        })
    });
    for used in uses.collect::<Vec<_>>() {
        used.await.unwrap();
    }
    mesh.stop().await;
}

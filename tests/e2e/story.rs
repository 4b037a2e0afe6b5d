//! The demo of the binary, through each front.

use chassis::SystemEntropy;
use kit::mesh::TestMesh;
use kit::test_env::TestEnv;

kit::on_each_env!(fronts: demo_succeeds);

async fn demo_succeeds(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    mesh::demo::play(&mesh.url, &mesh.clock, &SystemEntropy).await.unwrap();
    mesh.stop().await;
}

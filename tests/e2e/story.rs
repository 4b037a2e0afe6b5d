//! The story that the binary plays, through each front.

use chassis::SystemEntropy;
use kit::mesh::TestMesh;
use kit::test_env::TestEnv;

kit::through_each_front!(the_story_plays);

async fn the_story_plays(stand: TestEnv) {
    let mesh = TestMesh::start(stand).await;
    mesh::demo::play(&mesh.url, &mesh.clock, &SystemEntropy).await.unwrap();
    mesh.stop().await;
}

//! The real services behind real Envoy: the story plays there as it does through the embedded front.

use chassis::SystemEntropy;
use kit::engine::Engine;
use kit::envoy::{Envoy, EnvoySetup};
use kit::mesh::TestMesh;

#[tokio::test]
async fn the_story_plays_through_envoy_and_through_the_embedded_front() {
    let mesh = TestMesh::start(Engine::Embedded).await;
    let upstreams = proto::RPCS.iter().filter(|rpc| !rpc.is_internal()).map(|rpc| {
        let domain = rpc.service().split('.').nth(1).unwrap();
        (rpc.service().to_owned(), mesh.service(domain).trim_start_matches("http://").parse().unwrap())
    });
    let setup = EnvoySetup { descriptor_set: proto::ENVOY_DESCRIPTOR_SET.to_vec(), upstreams: upstreams.collect() };
    let envoy = Envoy::start(setup).await;
    mesh::demo::play(&mesh.url, &mesh.clock, &SystemEntropy).await.unwrap();
    mesh::demo::play(&envoy.url(), &mesh.clock, &SystemEntropy).await.unwrap();
    drop(envoy);
    mesh.stop().await;
}

//! Rule 6 for search: once a revocation is acknowledged, no page holds anything of the client, by an issued token neither.

use futures_util::future::join_all;
use kit::engine::Engine;
use kit::mesh::TestMesh;
use serde_json::json;

use super::hits::{finds, next, search};
use crate::races::{REVOCATIONS, Reads, Revocation, race};
use crate::steps::{Pair, entry};

kit::on_each_engine!(acknowledged_revocation_hides_finds);

/// Number of parallel readers: eight of each path.
const READERS: usize = 32;

async fn acknowledged_revocation_hides_finds(engine: Engine) {
    let mesh = TestMesh::start(engine).await;
    let pair = Pair::strangers(&mesh).await;
    pair.map(&mesh).await.expect(201);
    let other = Pair { client: mesh.client("Ben").await, therapist: pair.therapist.clone() };
    other.map(&mesh).await.expect(201);
    other.grant(&mesh).await.expect(200);
    let write = |pair: &Pair| {
        let (pair, body) = (pair.clone(), entry(&mesh, "calm", "the pier"));
        let mesh = &mesh;
        async move { super::hits::text(&pair.write(mesh, body).await.expect(201), "entryId") }
    };
    let ids = join_all((0..3).map(|_| write(&pair))).await;
    let others = write(&other).await;
    finds(&mesh, &pair.client, &search("pier"), 3).await;
    finds(&mesh, &pair.therapist, &search("pier"), 1).await;
    for how in REVOCATIONS {
        pair.grant(&mesh).await.expect(200);
        finds(&mesh, &pair.therapist, &search("pier"), 4).await;
        let reads = reads(&mesh, &pair).await;
        race(&mesh, &pair, &reads, READERS, how.play(&mesh, &pair), |path, answer| {
            let body = &answer.body;
            assert_eq!(answer.status, 200, "{how:?}, {path}: {body}");
            let told = format!("{body}{:?}", answer.headers);
            assert!(!ids.iter().chain([&pair.client.id]).any(|id| told.contains(id)), "{how:?}, {path}: {body}");
        })
        .await;
        for path in &reads.paths {
            let page = mesh.get(path, &pair.therapist).await.expect(200);
            let is_of_pair = path.contains(&pair.client.id);
            assert!(page == json!([]) || !is_of_pair && page[0]["id"] == others.as_str(), "{how:?}, {path}: {page}");
        }
        if matches!(how, Revocation::EndMapping | Revocation::EndMappingByTherapist) {
            pair.map(&mesh).await.expect(201);
        }
    }
    finds(&mesh, &pair.client, &search("pier"), 3).await;
    mesh.stop().await;
}

/// Returns searches of all clients and of one, and second pages by earlier tokens.
async fn reads(mesh: &TestMesh, pair: &Pair) -> Reads {
    let mut paths = Vec::new();
    for more in ["", &*format!("&clientId={}", pair.client.id)] {
        let path = format!("{}{more}", search("pier"));
        let first = mesh.get(&format!("{path}&pageSize=1"), &pair.therapist).await;
        let token = next(&first).expect("there are more");
        first.expect(200);
        paths.extend([format!("{path}&pageSize=1&pageToken={token}"), path]);
    }
    Reads { paths }
}

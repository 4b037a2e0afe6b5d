//! The keys of the stored index: they tell nobody's id, and clients with the same words have none in common.

use std::collections::BTreeSet;

use kit::engine::Engine;
use kit::mesh::TestMesh;

use super::hits::{all_is_indexed, index};
use crate::steps::{Pair, entry};

kit::on_each_engine!(same_words_of_two_clients_share_no_key);

/// Length of a tag in a sort key: 16 bytes in base32.
const TAG: usize = 26;

async fn same_words_of_two_clients_share_no_key(engine: Engine) {
    let mesh = TestMesh::start(engine).await;
    let (asha, ben) = (Pair::strangers(&mesh).await, Pair::strangers(&mesh).await);
    let body = entry(&mesh, "calm", "the same words as another, and as ever");
    let mut before = BTreeSet::new();
    let mut seen = Vec::new();
    for pair in [&asha, &ben] {
        for visibility in ["SHARED", "PRIVATE"] {
            let mut body = body.clone();
            body["visibility"] = visibility.into();
            pair.write(&mesh, body).await.expect(201);
            all_is_indexed(&mesh).await;
            let now: BTreeSet<_> = index(&mesh).await.into_iter().collect();
            let new: Vec<_> = now.difference(&before).cloned().collect();
            // A posting begins with the tag of its word.
            let is_posting = |sort: &str| !sort.contains('#');
            let tags: BTreeSet<_> =
                new.iter().filter(|(_, sk)| is_posting(sk)).map(|(_, sk)| sk[..TAG].to_owned()).collect();
            assert!(tags.len() >= 8, "{new:?}");
            seen.push((new.iter().map(|(pk, _)| pk.clone()).collect::<BTreeSet<_>>(), tags, pair.client.id.clone()));
            before = now;
        }
    }
    for (number, (partitions, tags, client)) in seen.iter().enumerate() {
        for (other_partitions, other_tags, other) in &seen[number + 1..] {
            assert_eq!(tags.len(), other_tags.len());
            assert!(tags.is_disjoint(other_tags), "{tags:?}, {other_tags:?}");
            // The two scopes of one client are in one list.
            let common = partitions.intersection(other_partitions).filter(|pk| !pk.starts_with("PERSON#")).count();
            assert!(common == 0 && (client == other || partitions.is_disjoint(other_partitions)));
        }
    }
    for id in [&asha.client.id, &ben.client.id] {
        let compact = id.replace('-', "");
        let tells = |key: &String| key.contains(&**id) || key.contains(&compact);
        assert_eq!(before.iter().find(|(pk, sk)| tells(pk) || tells(sk)), None, "{id}");
    }
    mesh.stop().await;
}

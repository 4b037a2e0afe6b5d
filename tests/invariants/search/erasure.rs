//! Rules 16 and 22 for search: of a person whose account has ended, nothing is in the index and nothing is found.

use std::collections::BTreeSet;

use kit::engine::Engine;
use kit::mesh::{Someone, TestMesh};
use reqwest::Method;
use serde_json::{Value, json};

use super::hits::{all_is_indexed, finds, index, search};
use crate::practice::Slot;
use crate::steps::{Pair, entry};

kit::on_each_engine!(ended_client_leaves_marker_in_index, ended_therapist_leaves_shared_notes_to_client);

/// Adds a session of the therapist, with notes about the mill.
async fn offer(mesh: &TestMesh, therapist: &Someone, number: usize, client: Option<&Someone>) {
    let mut session = Slot::new(mesh, number).session();
    (session["privateNotes"], session["sharedNotes"]) = ("the mill, for me".into(), "draw the mill".into());
    if let Some(client) = client {
        session["clientId"] = client.id.as_str().into();
    }
    mesh.ask(Method::POST, "/sessions", Some(therapist), Some(session)).await.expect(201);
}

async fn end(mesh: &TestMesh, role: &str, who: &Someone) {
    let ended = mesh.ask(Method::DELETE, &format!("/{role}/{}", who.id), Some(who), None).await;
    assert_eq!(ended.status, 204, "{}", ended.body);
    all_is_indexed(mesh).await;
}

async fn found(mesh: &TestMesh, who: &Someone, query: &str) -> Value {
    mesh.get(&search(query), who).await.expect(200)
}

async fn ended_client_leaves_marker_in_index(engine: Engine) {
    let mesh = TestMesh::start(engine).await;
    let pair = Pair::strangers(&mesh).await;
    let (asha, noor) = (&pair.client, &pair.therapist);
    // What is the therapist's own, before the client is known.
    offer(&mesh, noor, 1, None).await;
    finds(&mesh, noor, &search("mill"), 2).await;
    all_is_indexed(&mesh).await;
    let own: BTreeSet<_> = index(&mesh).await.into_iter().collect();
    let partitions: BTreeSet<_> = own.iter().map(|(pk, _)| pk.clone()).collect();

    pair.map(&mesh).await.expect(201);
    pair.grant(&mesh).await.expect(200);
    for visibility in ["SHARED", "PRIVATE"] {
        let mut body = entry(&mesh, "calm", "Asha by the mill");
        body["visibility"] = visibility.into();
        pair.write(&mesh, body).await.expect(201);
    }
    offer(&mesh, noor, 2, Some(asha)).await;
    finds(&mesh, asha, &search("mill"), 3).await;
    finds(&mesh, noor, &search("mill"), 5).await;
    assert_eq!(found(&mesh, noor, "asha").await.as_array().unwrap().len(), 2, "the name and the entry");

    end(&mesh, "clients", asha).await;
    let after: BTreeSet<_> = index(&mesh).await.into_iter().collect();
    let left: Vec<_> = after.iter().filter(|(pk, _)| !partitions.contains(pk)).collect();
    assert!(matches!(&left[..], [(_, sk)] if sk == "ENDED"), "{left:?}");
    let scopes = |keys: &BTreeSet<(String, String)>| {
        let scopes = keys.iter().filter(|(_, sk)| sk.starts_with("SCOPE#"));
        scopes.cloned().collect::<BTreeSet<_>>()
    };
    assert_eq!(scopes(&after), scopes(&own), "the therapist shares nothing with the client any more");
    for query in ["asha", "calm"] {
        assert_eq!(found(&mesh, noor, query).await, json!([]), "{query}");
    }
    // The private notes are the therapist's own; nothing was drafted in the place of what was shared.
    let kept = found(&mesh, noor, "mill").await;
    assert!(kept.as_array().unwrap().iter().all(|hit| hit["clientId"] == "" && hit["kind"] == "NOTES"), "{kept}");
    assert_eq!(kept.as_array().unwrap().len(), 3, "{kept}");
    mesh.stop().await;
}

async fn ended_therapist_leaves_shared_notes_to_client(engine: Engine) {
    let mesh = TestMesh::start(engine).await;
    let pair = Pair::with_access(&mesh).await;
    let (asha, noor) = (&pair.client, &pair.therapist);
    pair.write(&mesh, entry(&mesh, "calm", "by the mill")).await.expect(201);
    offer(&mesh, noor, 1, None).await;
    offer(&mesh, noor, 2, Some(asha)).await;
    finds(&mesh, noor, &search("mill"), 5).await;
    finds(&mesh, asha, &search("mill"), 2).await;
    let before = index(&mesh).await.len();
    end(&mesh, "therapists", noor).await;
    let kept = found(&mesh, asha, "mill").await;
    let kinds: Vec<_> = kept.as_array().unwrap().iter().map(|hit| hit["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["NOTES", "JOURNAL"], "{kept}");
    assert_eq!(found(&mesh, asha, "draw").await[0]["snippet"], "draw the mill");
    let after = index(&mesh).await;
    assert!(after.len() < before);
    let ended: Vec<_> = after.iter().filter(|(_, sk)| sk == "ENDED").map(|(pk, _)| pk).collect();
    let of_ended: Vec<_> = after.iter().filter(|(pk, _)| ended.contains(&pk)).collect();
    assert_eq!((ended.len(), of_ended.len()), (1, 1), "nothing but the marker is listed for the therapist");
    mesh.stop().await;
}

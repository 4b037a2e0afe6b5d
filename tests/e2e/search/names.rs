//! Names of clients, found by therapists to whom they are related.

use std::time::Duration;

use kit::mesh::TestMesh;
use kit::test_env::TestEnv;
use reqwest::Method;
use serde_json::json;

use super::{end, finds, finds_nothing, id, ids, map, search, shown, therapist};

kit::on_each_env!(names_of_related_clients_are_found, pending_request_gives_no_name, corrected_name_is_found);

async fn names_of_related_clients_are_found(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let (noor, omar) = (therapist(&mesh).await, therapist(&mesh).await);
    let (zoe, asha) = (mesh.client("Zoë O'Brien").await, mesh.client("Asha Brien").await);
    let stranger = mesh.client("Zoe Brien").await;
    map(&mesh, &zoe, &noor).await;
    mesh.pass(Duration::from_secs(60));
    map(&mesh, &asha, &noor).await;
    map(&mesh, &stranger, &omar).await;
    for (query, expected) in [
        ("brien", &[&*asha.id, &zoe.id][..]),
        ("BRI*", &[&asha.id, &zoe.id]),
        ("zoe", &[&zoe.id]),
        ("zoë brien", &[&zoe.id]),
        ("\"asha brien\"", &[&asha.id]),
        ("brien in", &[]),
    ] {
        let hits = mesh.get(&search(query), &noor).await.expect(200);
        assert_eq!(ids(&hits), expected, "{query}");
    }
    let hits = mesh.get(&format!("{}&in=CLIENTS", search("zoe brien")), &noor).await.expect(200);
    let expected = json!([{
        "kind": "CLIENTS", "id": zoe.id, "clientId": zoe.id, "therapistId": noor.id, "timestamp": "2100-01-01T00:00:00Z",
        "snippet": "Zoë O'Brien", "matches": [{"start": 0, "end": 3}, {"start": 6, "end": 11}], "visibility": "SHARED",
    }]);
    assert_eq!(hits, expected);
    for (more, expected) in [
        ("in=JOURNAL,NOTES", &[][..]),
        ("in=CLIENTS,NOTES", &[&*asha.id, &zoe.id][..]),
        (&*format!("clientId={}", zoe.id), &[&zoe.id]),
        ("from=2100-01-01T00:00:01Z", &[&asha.id]),
        ("to=2100-01-01T00:01:00Z", &[&zoe.id]),
    ] {
        let hits = mesh.get(&format!("{}&{more}", search("brien")), &noor).await.expect(200);
        assert_eq!(ids(&hits), expected, "{more}");
    }
    end(&mesh, &zoe, &noor, &zoe).await;
    finds(&mesh, &noor, &search("brien"), &[&asha.id]).await;
    mesh.stop().await;
}

/// A client who has not agreed is not found by name, as the directory shows none.
async fn pending_request_gives_no_name(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (noor, asha) = (therapist(&mesh).await, mesh.client("Asha Quill").await);
    let request = json!({"therapistId": noor.id, "requestType": "MAPPING"});
    let path = format!("/mapping/{}/request", asha.id);
    mesh.ask(Method::POST, &path, Some(&noor), Some(request)).await.expect(201);
    finds_nothing(&mesh, &noor, &search("quill")).await;
    let message = json!({"receiverId": noor.id, "message": "hello"});
    mesh.ask(Method::POST, "/messages", Some(&asha), Some(message)).await.expect(201);
    finds(&mesh, &noor, &search("quill"), &[&asha.id]).await;
    mesh.stop().await;
}

async fn corrected_name_is_found(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (noor, asha) = (therapist(&mesh).await, mesh.client("Asha Marsh").await);
    map(&mesh, &asha, &noor).await;
    finds(&mesh, &noor, &search("marsh"), &[&asha.id]).await;
    let profile = json!({"name": "Asha Fields", "email": asha.email, "pincode": "110001"});
    let path = format!("/clients/{}", asha.id);
    let changed = mesh.ask(Method::PUT, &path, Some(&asha), Some(profile)).await.expect(200);
    assert_eq!(id(&changed, "name"), "Asha Fields");
    finds(&mesh, &noor, &search("fields"), &[&asha.id]).await;
    finds_nothing(&mesh, &noor, &search("marsh")).await;
    let hits = mesh.get(&search("field"), &noor).await.expect(200);
    assert_eq!(shown(&hits[0]), "Asha [Fields]");
    mesh.stop().await;
}

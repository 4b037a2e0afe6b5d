//! Entries of journals, found by their client and within a grant by a therapist.

use std::time::Duration;

use kit::mesh::TestMesh;
use kit::test_env::TestEnv;
use reqwest::Method;
use serde_json::json;

use super::{NOBODY, end, finds, finds_nothing, grant, map, next, pair, search, therapist, write};

kit::on_each_env!(
    client_finds_own_entries_with_private_ones,
    therapist_finds_shared_entries_of_granted_journals_only,
    grant_limits_finds_by_entry_time_and_expiry,
    ended_access_or_relation_ends_finds,
    unrelated_client_is_answered_like_missing_one,
    client_may_name_own_account_only,
);

async fn client_finds_own_entries_with_private_ones(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, ben) = (mesh.client("Asha").await, mesh.client("Ben").await);
    let others = write(&mesh, &ben, "the harbour at night", &json!({})).await;
    let shared = write(&mesh, &asha, "the old harbour", &json!({"timestamp": "2099-12-30T10:00:00.25Z"})).await;
    let private = json!({"timestamp": "2099-12-31T10:00:00Z", "visibility": "PRIVATE", "emotion": "harbour"});
    let private = write(&mesh, &asha, "", &private).await;
    finds(&mesh, &asha, &search("harbour"), &[&private, &shared]).await;
    finds(&mesh, &ben, &search("harbour"), &[&others]).await;
    let hits = mesh.get(&search("harbour"), &asha).await.expect(200);
    let expected = json!([
        {
            "kind": "JOURNAL", "id": private, "clientId": asha.id, "therapistId": "", "timestamp": "2099-12-31T10:00:00Z",
            "snippet": "harbour", "matches": [{"start": 0, "end": 7}], "visibility": "PRIVATE",
        },
        {
            "kind": "JOURNAL", "id": shared, "clientId": asha.id, "therapistId": "",
            "timestamp": "2099-12-30T10:00:00.250Z", "snippet": "calm the old harbour",
            "matches": [{"start": 13, "end": 20}], "visibility": "SHARED",
        },
    ]);
    assert_eq!(hits, expected, "every field is printed");
    mesh.stop().await;
}

/// Rules 4 and 8: a mapping gives nothing of the journal, and nobody else finds a private entry.
async fn therapist_finds_shared_entries_of_granted_journals_only(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = pair(&mesh).await;
    let (ben, omar) = (mesh.client("Ben").await, therapist(&mesh).await);
    map(&mesh, &ben, &noor).await;
    map(&mesh, &asha, &omar).await;
    let shared = write(&mesh, &asha, "the lighthouse", &json!({})).await;
    let private = json!({"visibility": "PRIVATE", "timestamp": "2099-12-31T13:00:00Z"});
    let private = write(&mesh, &asha, "lighthouse keeper", &private).await;
    let others = write(&mesh, &ben, "lighthouse", &json!({})).await;
    finds(&mesh, &asha, &search("lighthouse"), &[&private, &shared]).await;
    finds(&mesh, &ben, &search("lighthouse"), &[&others]).await;
    finds(&mesh, &noor, &search("lighthouse"), &[&shared]).await;
    let hits = mesh.get(&search("lighthouse"), &noor).await.expect(200);
    assert_eq!(hits, mesh.get(&format!("{}&to=2099-12-31T13:00:00Z", search("lighthouse")), &asha).await.expect(200));
    for query in ["keeper", "keep*", "\"lighthouse keeper\"", "lighthouse keeper"] {
        finds_nothing(&mesh, &noor, &search(query)).await;
    }
    for more in ["", "&in=JOURNAL", &format!("&clientId={}", asha.id)] {
        finds_nothing(&mesh, &omar, &format!("{}{more}", search("lighthouse"))).await;
    }
    finds_nothing(&mesh, &noor, &format!("{}&clientId={}", search("lighthouse"), ben.id)).await;
    grant(&mesh, &ben, &noor, &json!({})).await;
    finds(&mesh, &noor, &format!("{}&clientId={}", search("lighthouse"), ben.id), &[&others]).await;
    mesh.stop().await;
}

async fn grant_limits_finds_by_entry_time_and_expiry(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let (asha, noor) = (mesh.client("Asha").await, therapist(&mesh).await);
    map(&mesh, &asha, &noor).await;
    let old = write(&mesh, &asha, "orchard", &json!({"timestamp": "2099-12-30T23:59:59.999Z"})).await;
    let new = write(&mesh, &asha, "orchard", &json!({"timestamp": "2099-12-31T00:00:00Z"})).await;
    finds(&mesh, &asha, &search("orchard"), &[&new, &old]).await;
    let limits = json!({"entriesFrom": "2099-12-31T00:00:00Z", "expiresAt": "2100-01-01T00:01:00Z"});
    grant(&mesh, &asha, &noor, &limits).await;
    for more in ["", "&in=JOURNAL", "&from=2099-01-01T00:00:00Z", &format!("&clientId={}", asha.id)] {
        finds(&mesh, &noor, &format!("{}{more}", search("orchard")), &[&new]).await;
    }
    finds_nothing(&mesh, &noor, &format!("{}&to=2099-12-31T00:00:00Z", search("orchard"))).await;
    mesh.pass(Duration::from_secs(61));
    finds_nothing(&mesh, &noor, &search("orchard")).await;
    finds(&mesh, &asha, &search("orchard"), &[&new, &old]).await;
    mesh.stop().await;
}

async fn ended_access_or_relation_ends_finds(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = pair(&mesh).await;
    let entry = write(&mesh, &asha, "Asha by the estuary", &json!({})).await;
    finds(&mesh, &noor, &search("estuary"), &[&entry]).await;
    let access = format!("/mapping/{}/access?therapistId={}", asha.id, noor.id);
    mesh.ask(Method::DELETE, &access, Some(&asha), None).await.expect(200);
    finds_nothing(&mesh, &noor, &search("estuary")).await;
    finds(&mesh, &noor, &search("asha"), &[&asha.id]).await;
    for by in [&asha, &noor] {
        grant(&mesh, &asha, &noor, &json!({})).await;
        finds(&mesh, &noor, &search("estuary"), &[&entry]).await;
        end(&mesh, &asha, &noor, by).await;
        for query in ["estuary", "asha"] {
            finds_nothing(&mesh, &noor, &search(query)).await;
            finds_nothing(&mesh, &noor, &format!("{}&clientId={}", search(query), asha.id)).await;
        }
        map(&mesh, &asha, &noor).await;
        finds_nothing(&mesh, &noor, &search("estuary")).await;
    }
    finds(&mesh, &asha, &search("estuary"), &[&entry]).await;
    mesh.stop().await;
}

/// Rule 14.
async fn unrelated_client_is_answered_like_missing_one(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = pair(&mesh).await;
    let ben = mesh.client("Ben").await;
    let own = write(&mesh, &asha, "Ben in the meadow", &json!({})).await;
    let others = write(&mesh, &ben, "Ben in the meadow", &json!({})).await;
    finds(&mesh, &ben, &search("meadow"), &[&others]).await;
    finds(&mesh, &noor, &search("meadow"), &[&own]).await;
    let absent = |kinds: &str, query: &str| format!("{}{kinds}&clientId={NOBODY}", search(query));
    for client in [&*ben.id, "nobody", &noor.id, &ben.id.to_uppercase()] {
        for kinds in ["", "&in=JOURNAL", "&in=NOTES", "&in=CLIENTS"] {
            for query in ["meadow", "ben"] {
                let path = format!("{}{kinds}&clientId={client}", search(query));
                let (there, absent) = (mesh.get(&path, &noor).await, mesh.get(&absent(kinds, query), &noor).await);
                assert_eq!((there.status, &there.body), (200, &json!([])), "{path}");
                assert_eq!((absent.status, &absent.body), (200, &json!([])));
                assert_eq!(next(&there), None, "{path}");
            }
        }
    }
    mesh.stop().await;
}

async fn client_may_name_own_account_only(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = pair(&mesh).await;
    let ben = mesh.client("Ben").await;
    let entry = write(&mesh, &asha, "the quarry", &json!({})).await;
    for own in [asha.id.clone(), asha.id.to_uppercase(), String::new()] {
        finds(&mesh, &asha, &format!("{}&clientId={own}", search("quarry")), &[&entry]).await;
    }
    let absent = mesh.get(&format!("{}&clientId={NOBODY}", search("quarry")), &asha).await;
    absent.refused(403, "NOT_YOUR_ACCOUNT");
    for other in [&*ben.id, &noor.id, "nobody"] {
        let there = mesh.get(&format!("{}&clientId={other}", search("quarry")), &asha).await;
        assert_eq!((there.status, &there.body), (absent.status, &absent.body), "{other}");
    }
    // Names of clients are for therapists alone, whoever is named.
    for kinds in ["CLIENTS", "JOURNAL,CLIENTS", "JOURNAL&in=CLIENTS"] {
        mesh.get(&format!("{}&in={kinds}", search("asha")), &asha).await.refused(403, "ROLE_NOT_ALLOWED");
    }
    mesh.ask(Method::GET, &search("quarry"), None, None).await.refused(401, "TOKEN_MISSING");
    mesh.stop().await;
}

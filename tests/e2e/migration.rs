//! The upgrade of profiles that an earlier version stored: each had an address of its own, unique among clients, and was
//! listed by all characters of its name and specialty.

use dynamo::{Key, Update};
use kit::mesh::{Someone, TestMesh};
use kit::test_env::TestEnv;
use reqwest::Method;
use serde_json::json;

kit::on_each_env!(migrated_profiles_get_address_of_account, migrated_therapist_is_found_without_joiners,);

const OLD: &str = "Old.Home@example.org";

/// Stores the address of a profile as an earlier version did.
async fn move_profile(mesh: &TestMesh, table: &'static dynamo::TableDef, pk: String) {
    let table = mesh.dynamodb.connect(kit::entropy::seeded()).await.table(table);
    let moved = table.update(&Key::new(pk, "PROFILE")).set("email", OLD).add("version", 1).run().await.unwrap();
    assert!(matches!(moved, Update::Done(_)));
}

async fn migrate(mesh: &TestMesh) -> (clients::Progress, therapists::Progress) {
    let dynamodb = mesh.dynamodb.connect(kit::entropy::seeded()).await;
    let addresses = auth::Addresses::new(&dynamodb);
    let clients = clients::migrate(&dynamodb, |user| addresses.of(user), |_| ()).await.unwrap();
    let therapists = therapists::migrate(&dynamodb, |user| addresses.of(user), |_| ()).await.unwrap();
    (clients, therapists)
}

async fn migrated_profiles_get_address_of_account(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let (asha, ben) = (mesh.client("Asha").await, mesh.client("Ben").await);
    let (cara, noor) = (mesh.client("Cara").await, mesh.therapist("Noor", "Grief", "110001").await);
    for client in [&asha, &ben, &cara] {
        let map = json!({"therapistId": noor.id});
        mesh.ask(Method::POST, &format!("/mapping/{}", client.id), Some(client), Some(map)).await.expect(201);
    }
    let table = mesh.dynamodb.connect(kit::entropy::seeded()).await.table(&clients::CLIENTS);
    for (address, owner) in [(OLD.to_lowercase(), &asha), (ben.email.clone(), &ben), (cara.email.clone(), &cara)] {
        let item = json!({"client_id": owner.id});
        let _ = table.put_new(&Key::new(format!("EMAIL#{address}"), "PROFILE"), &item).await.unwrap();
    }
    move_profile(&mesh, &clients::CLIENTS, format!("CLIENT#{}", asha.id)).await;
    move_profile(&mesh, &therapists::THERAPISTS, format!("THERAPIST#{}", noor.id)).await;

    // Before the migration, profiles are served with their stored address.
    let email = async |path: String, who: &Someone| mesh.get(&path, who).await.expect(200)["email"].clone();
    assert_eq!(email(format!("/clients/{}", asha.id), &noor).await, OLD);
    assert_eq!(email(format!("/therapists/{}", noor.id), &asha).await, OLD);
    let found = mesh.get(&format!("/clients?email={OLD}"), &noor).await.expect(200);
    assert_eq!(found[0]["clientId"], asha.id.as_str());
    // Account deletion removes the account's item of the former index.
    assert_eq!(mesh.ask(Method::DELETE, &format!("/clients/{}", cara.id), Some(&cara), None).await.status, 204);

    let (of_clients, of_therapists) = migrate(&mesh).await;
    assert_eq!((of_clients.profiles, of_clients.changed), (2, 1));
    // Asha's item is removed with her profile, or on its own if the scan meets it first.
    assert!((1..=2).contains(&of_clients.removed), "{of_clients}");
    assert_eq!((of_therapists.profiles, of_therapists.changed), (1, 1));
    let again = migrate(&mesh).await;
    assert_eq!((again.0.changed, again.0.removed, again.1.changed), (0, 0, 0));

    for address in [OLD.to_lowercase(), ben.email.clone(), cara.email.clone()] {
        assert!(!there(&mesh, &address).await, "{address}");
    }
    assert_eq!(email(format!("/clients/{}", asha.id), &noor).await, asha.email.as_str());
    assert_eq!(email(format!("/therapists/{}", noor.id), &asha).await, noor.email.as_str());
    assert_eq!(mesh.get("/therapists", &asha).await.expect(200)[0]["email"], noor.email.as_str());
    let found = mesh.get(&format!("/clients?email={}", asha.email), &noor).await.expect(200);
    assert_eq!(found[0]["clientId"], asha.id.as_str());
    let profile = json!({"name": "Asha Rao", "email": asha.email, "pincode": "110002"});
    mesh.ask(Method::PUT, &format!("/clients/{}", asha.id), Some(&asha), Some(profile)).await.expect(200);
    mesh.stop().await;
}

/// An earlier version listed a therapist by all characters of name and specialty, also those that show nothing.
async fn migrated_therapist_is_found_without_joiners(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let (asha, noor) = (mesh.client("Asha").await, mesh.therapist("No\u{200d}or", "Gri\u{ad}ef", "110001").await);
    let table = mesh.dynamodb.connect(kit::entropy::seeded()).await.table(&therapists::THERAPISTS);
    let key = Key::new(format!("THERAPIST#{}", noor.id), "PROFILE");
    let listed =
        table.update(&key).set("specialty_key", "gri\u{ad}ef").set("specialty_pincode_key", "gri\u{ad}ef\u{1f}110001");
    let listed = listed.set("name_key", format!("no\u{200d}or\u{1f}{}", noor.id)).run().await.unwrap();
    assert!(matches!(listed, Update::Done(_)));

    for changed in [1, 0] {
        let (_, of_therapists) = migrate(&mesh).await;
        assert_eq!((of_therapists.profiles, of_therapists.changed), (1, changed));
        for filter in ["name=noor", "specialty=grief", "specialty=grief&pincode=110001"] {
            let page = mesh.get(&format!("/therapists?{filter}"), &asha).await.expect(200);
            assert_eq!(page[0]["therapistId"], noor.id.as_str(), "{filter}");
        }
    }
    mesh.stop().await;
}

/// Returns true if the former index of addresses holds an item for this address.
async fn there(mesh: &TestMesh, address: &str) -> bool {
    let table = mesh.dynamodb.connect(kit::entropy::seeded()).await.table(&clients::CLIENTS);
    let key = Key::new(format!("EMAIL#{address}"), "PROFILE");
    table.get_item(&key, dynamo::Read::Consistent).await.unwrap().is_some()
}

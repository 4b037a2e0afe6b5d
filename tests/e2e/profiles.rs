//! Contract §2, rows /clients: profiles of clients.

use kit::mesh::{PASSWORD, TestMesh, answer};
use kit::test_env::TestEnv;
use reqwest::Method;
use serde_json::json;

kit::on_each_env!(
    client_profile_is_created_read_and_replaced,
    invalid_profile_names_every_bad_field,
    text_too_long_for_key_is_rejected_by_field,
    client_existence_is_hidden_from_others,
    therapist_finds_related_client_by_exact_address,
    profile_address_must_be_account_address,
    stale_etag_is_rejected_and_missing_etag_overwrites,
    repeated_post_with_key_creates_one_profile,
    parallel_posts_with_key_return_one_profile,
);

async fn client_profile_is_created_read_and_replaced(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let asha = mesh.join("CLIENT").await;
    assert_eq!(mesh.get("/clients", &asha).await.expect(200), json!([]));
    mesh.get(&format!("/clients/{}", asha.id), &asha).await.refused(404, "NOT_FOUND");

    let profile = json!({"name": "Asha Rao", "email": asha.email, "pincode": "110001", "etag": "of another profile"});
    let made = mesh.ask(Method::POST, "/clients", Some(&asha), Some(profile.clone())).await.expect(201);
    assert_eq!(made["clientId"], asha.id.as_str());
    let path = format!("/clients/{}", asha.id);
    assert_eq!(mesh.get(&path, &asha).await.expect(200), made);
    assert_eq!(mesh.get("/clients", &asha).await.expect(200), json!([made]));
    mesh.ask(Method::POST, "/clients", Some(&asha), Some(profile)).await.refused(409, "PROFILE_EXISTS");

    // A profile that was read is accepted as an update, with its ids and etag.
    let mut changed = made.clone();
    changed["name"] = "Asha R. Rao".into();
    let replaced = mesh.ask(Method::PUT, &path, Some(&asha), Some(changed)).await.expect(200);
    assert_eq!(replaced["name"], "Asha R. Rao");
    assert_ne!(replaced["etag"], made["etag"]);
    assert_eq!(mesh.get(&path, &asha).await.expect(200), replaced);
    mesh.stop().await;
}

async fn invalid_profile_names_every_bad_field(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let asha = mesh.join("CLIENT").await;
    let post = |body| mesh.ask(Method::POST, "/clients", Some(&asha), Some(body));
    let empty = post(json!({})).await;
    empty.refused(400, "INVALID_FIELDS");
    assert_eq!(empty.bad_fields(), ["email", "name", "pincode"]);
    let all = post(json!({"clientId": "someone-else", "name": "\u{7}", "email": "x", "pincode": "!"})).await;
    all.refused(400, "INVALID_FIELDS");
    assert_eq!(all.bad_fields(), ["clientId", "email", "name", "pincode"]);
    assert_eq!(mesh.get("/clients", &asha).await.expect(200), json!([]), "nothing was written");
    mesh.stop().await;
}

async fn text_too_long_for_key_is_rejected_by_field(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = (mesh.join("CLIENT").await, mesh.join("THERAPIST").await);
    // One character that stands for a phrase of 33 bytes.
    let phrase = "\u{fdfa}";
    let (long, address) = (phrase.repeat(200), format!("a@{}.org", vec![phrase; 60].join(".")));
    let local = format!("{}@example.org", phrase.repeat(60));
    for (method, path, who, body, bad) in [
        (Method::POST, "/clients", Some(&asha), json!({"name": long, "email": address, "pincode": "---"}), 3),
        (Method::POST, "/clients", Some(&asha), json!({"name": "Asha", "email": local, "pincode": "110001"}), 1),
        (Method::PUT, &*format!("/clients/{}", asha.id), Some(&asha), json!({"name": long, "email": address}), 3),
        (
            Method::POST,
            "/therapists",
            Some(&noor),
            json!({"name": long, "email": address, "specialty": long, "pincode": "- -"}),
            4,
        ),
        (Method::POST, "/auth/register", None, json!({"email": address, "password": PASSWORD, "role": "CLIENT"}), 1),
        (Method::POST, "/auth/login", None, json!({"email": address, "password": PASSWORD}), 1),
        (Method::POST, "/auth/login", None, json!({"email": local, "password": PASSWORD}), 1),
    ] {
        let answer = mesh.ask(method.clone(), path, who, Some(body)).await;
        answer.refused(400, "INVALID_FIELDS");
        assert_eq!(answer.bad_fields().len(), bad, "{method} {path}: {}", answer.body);
    }
    let path = format!("/clients?email=a@{}.org", vec!["%EF%B7%BA"; 60].join("."));
    let answer = mesh.get(&path, &noor).await;
    answer.refused(400, "INVALID_FIELDS");
    assert_eq!(answer.bad_fields(), ["email"]);
    mesh.stop().await;
}

async fn client_existence_is_hidden_from_others(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, ben) = (mesh.client("Asha").await, mesh.client("Ben").await);
    let noor = mesh.therapist("Noor", "Grief", "110001").await;
    let nobody = "01933b5e-7a4c-7def-8abc-0123456789ab";
    let profile = json!({"name": "X", "email": "x@example.org", "pincode": "110001"});
    for (method, body) in [(Method::GET, None), (Method::PUT, Some(profile)), (Method::DELETE, None)] {
        let of = async |id: &str, who| mesh.ask(method.clone(), &format!("/clients/{id}"), who, body.clone()).await;
        let there = of(&asha.id, Some(&ben)).await;
        let absent = of(nobody, Some(&ben)).await;
        there.refused(403, "NOT_YOUR_ACCOUNT");
        assert_eq!((there.status, &there.body), (absent.status, &absent.body));
        let (there, absent) = (of(&asha.id, Some(&noor)).await, of(nobody, Some(&noor)).await);
        assert_eq!((there.status, &there.body), (absent.status, &absent.body));
        of(&asha.id, None).await.refused(401, "TOKEN_MISSING");
    }
    mesh.stop().await;
}

async fn therapist_finds_related_client_by_exact_address(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = (mesh.client("Asha Rao").await, mesh.therapist("Noor", "Grief", "110001").await);
    let ben = mesh.client("Ben").await;
    let by_address = format!("/clients?email={}", asha.email.to_uppercase());
    assert_eq!(mesh.get(&by_address, &noor).await.expect(200), json!([]), "she is not related");
    for client in [&asha, &ben] {
        let map = json!({"therapistId": noor.id});
        mesh.ask(Method::POST, &format!("/mapping/{}", client.id), Some(client), Some(map)).await.expect(201);
    }
    let profile = mesh.get(&format!("/clients/{}", asha.id), &asha).await.expect(200);
    assert_eq!(mesh.get(&by_address, &noor).await.expect(200), json!([profile]));
    let beginning = &asha.email[..asha.email.len() - 1];
    assert_eq!(mesh.get(&format!("/clients?email={beginning}"), &noor).await.expect(200), json!([]));
    for address in [&*asha.email, "malformed", "%20"] {
        mesh.get(&format!("/clients?email={address}"), &asha).await.refused(403, "ROLE_NOT_ALLOWED");
    }
    assert_eq!(mesh.get("/clients?email=malformed", &noor).await.bad_fields(), ["email"]);
    mesh.stop().await;
}

async fn profile_address_must_be_account_address(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, ben, noor) = (mesh.join("CLIENT").await, mesh.client("Ben").await, mesh.join("THERAPIST").await);
    let refused = |answer: kit::mesh::Answer, fields: &[&str]| {
        answer.refused(400, "INVALID_FIELDS");
        assert_eq!(answer.bad_fields(), fields);
        let message = answer.body["message"].as_str().unwrap();
        assert!(message.contains("email must be the address of your account"), "{message}");
    };
    // The address of another account and an unknown one are answered alike.
    for email in [&*ben.email, "nobody.at.all@example.org"] {
        let client = json!({"name": "Asha", "email": email, "pincode": "110001"});
        let bad = json!({"name": "", "email": email, "pincode": "110001"});
        refused(mesh.ask(Method::POST, "/clients", Some(&asha), Some(client)).await, &["email"]);
        refused(mesh.ask(Method::POST, "/clients", Some(&asha), Some(bad)).await, &["email", "name"]);
        let therapist = json!({"name": "Noor", "email": email, "specialty": "Grief", "pincode": "110001"});
        refused(mesh.ask(Method::POST, "/therapists", Some(&noor), Some(therapist)).await, &["email"]);
    }
    let upper = asha.email.to_uppercase();
    let client = json!({"name": "Asha", "email": upper, "pincode": "110001"});
    let made = mesh.ask(Method::POST, "/clients", Some(&asha), Some(client)).await.expect(201);
    assert_eq!(made["email"], asha.email.as_str(), "the spelling is the account's");
    let moved = json!({"name": "Asha", "email": ben.email, "pincode": "110001"});
    refused(mesh.ask(Method::PUT, &format!("/clients/{}", asha.id), Some(&asha), Some(moved)).await, &["email"]);
    let therapist = json!({"name": "Noor", "email": noor.email, "specialty": "Grief", "pincode": "110001"});
    mesh.ask(Method::POST, "/therapists", Some(&noor), Some(therapist)).await.expect(201);
    let moved = json!({"name": "Noor", "email": ben.email, "specialty": "Grief", "pincode": "110001"});
    refused(mesh.ask(Method::PUT, &format!("/therapists/{}", noor.id), Some(&noor), Some(moved)).await, &["email"]);
    mesh.stop().await;
}

async fn stale_etag_is_rejected_and_missing_etag_overwrites(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let asha = mesh.client("Asha").await;
    let path = format!("/clients/{}", asha.id);
    let old = mesh.get(&path, &asha).await.expect(200);
    mesh.ask(Method::PUT, &path, Some(&asha), Some(old.clone())).await.expect(200);
    mesh.ask(Method::PUT, &path, Some(&asha), Some(old.clone())).await.refused(409, "STALE_ETAG");
    let mut never = old.clone();
    never["etag"] = "never an etag".into();
    mesh.ask(Method::PUT, &path, Some(&asha), Some(never)).await.refused(409, "STALE_ETAG");
    let mut without = old;
    without.as_object_mut().unwrap().remove("etag");
    let writes: Vec<_> = (0..4)
        .map(|_| tokio::spawn(answer(mesh.request(Method::PUT, &path).bearer_auth(&asha.token).json(&without))))
        .collect();
    for write in writes {
        write.await.unwrap().expect(200);
    }
    mesh.stop().await;
}

async fn repeated_post_with_key_creates_one_profile(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let asha = mesh.join("CLIENT").await;
    let profile = json!({"name": "Asha", "email": asha.email, "pincode": "110001"});
    let post = async |key: &str, body: &serde_json::Value| {
        let request = mesh.request(Method::POST, "/clients").bearer_auth(&asha.token);
        answer(request.header("idempotency-key", key).json(body)).await
    };
    let first = post("k-1", &profile).await.expect(201);
    assert_eq!(post("k-1", &profile).await.expect(201), first);
    let other = json!({"name": "Other", "email": asha.email, "pincode": "110001"});
    post("k-1", &other).await.refused(409, "IDEMPOTENCY_KEY_REUSED");
    post("k-2", &profile).await.refused(409, "PROFILE_EXISTS");
    let bad = post(&"k".repeat(256), &profile).await;
    bad.refused(400, "INVALID_FIELDS");
    assert_eq!(bad.bad_fields(), ["Idempotency-Key"]);
    assert_eq!(post("", &json!({"email": asha.email})).await.bad_fields(), ["Idempotency-Key", "name", "pincode"]);
    mesh.pass(std::time::Duration::from_secs(24 * 3600 + 1));
    let again = mesh.login(&asha.email, PASSWORD).await;
    let request = mesh.request(Method::POST, "/clients").bearer_auth(&again.token);
    answer(request.header("idempotency-key", "k-1").json(&profile)).await.refused(409, "PROFILE_EXISTS");
    mesh.stop().await;
}

async fn parallel_posts_with_key_return_one_profile(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let asha = mesh.join("CLIENT").await;
    let profile = json!({"name": "Asha", "email": asha.email, "pincode": "110001"});
    let posts: Vec<_> = (0..8)
        .map(|_| {
            let request = mesh.request(Method::POST, "/clients").bearer_auth(&asha.token);
            tokio::spawn(answer(request.header("idempotency-key", "same").json(&profile)))
        })
        .collect();
    for post in posts {
        assert_eq!(post.await.unwrap().expect(201)["clientId"], asha.id.as_str());
    }
    mesh.stop().await;
}

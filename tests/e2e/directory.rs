//! Contract §2, rows /therapists: the directory.

use kit::mesh::{Someone, TestMesh};
use kit::test_env::TestEnv;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use reqwest::Method;
use serde_json::{Value, json};

kit::on_each_env!(
    therapist_profile_is_created_read_and_replaced,
    filters_ignore_case_and_combine,
    filtered_pages_match_brute_force_search,
    page_token_is_bound_to_caller_and_query,
    changed_profile_moves_in_directory,
    longest_profiles_are_listed_page_by_page,
);

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|therapist| therapist["name"].as_str().unwrap()).collect()
}

async fn therapist_profile_is_created_read_and_replaced(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (noor, asha) = (mesh.join("THERAPIST").await, mesh.join("CLIENT").await);
    let profile = json!({"name": "Noor Haddad", "email": noor.email, "specialty": "Grief", "pincode": "110001"});
    mesh.ask(Method::POST, "/therapists", Some(&asha), Some(profile.clone())).await.refused(403, "ROLE_NOT_ALLOWED");
    let made = mesh.ask(Method::POST, "/therapists", Some(&noor), Some(profile.clone())).await.expect(201);
    assert_eq!(made["therapistId"], noor.id.as_str());
    mesh.ask(Method::POST, "/therapists", Some(&noor), Some(profile)).await.refused(409, "PROFILE_EXISTS");
    let path = format!("/therapists/{}", noor.id);
    assert_eq!(mesh.get(&path, &asha).await.expect(200), made, "every signed-in person may read it");
    mesh.ask(Method::GET, &path, None, None).await.refused(401, "TOKEN_MISSING");
    mesh.get("/therapists/nobody", &asha).await.refused(404, "NOT_FOUND");

    let bad = mesh.ask(Method::PUT, &path, Some(&noor), Some(json!({"name": "Noor"}))).await;
    bad.refused(400, "INVALID_FIELDS");
    assert_eq!(bad.bad_fields(), ["email", "pincode", "specialty"]);
    let other = mesh.join("THERAPIST").await;
    mesh.ask(Method::PUT, &path, Some(&other), Some(made.clone())).await.refused(403, "NOT_YOUR_ACCOUNT");
    mesh.ask(Method::PUT, &path, Some(&noor), Some(made.clone())).await.expect(200);
    mesh.ask(Method::PUT, &path, Some(&noor), Some(made)).await.refused(409, "STALE_ETAG");
    mesh.stop().await;
}

async fn filters_ignore_case_and_combine(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let who = mesh.therapist("Anna Meyer", "Trauma", "SW1A 1AA").await;
    mesh.therapist("ANNA Berg", "trauma", "110001").await;
    mesh.therapist("Zoë Anders", "Grief", "110001").await;
    let cases: [(&str, &[&str]); 11] = [
        ("", &["ANNA Berg", "Anna Meyer", "Zoë Anders"]),
        ("?specialty=TRAUMA", &["ANNA Berg", "Anna Meyer"]),
        ("?expertise=trauma", &["ANNA Berg", "Anna Meyer"]),
        ("?specialty=trauma&expertise=Trauma", &["ANNA Berg", "Anna Meyer"]),
        ("?pincode=sw1a1aa", &["Anna Meyer"]),
        ("?name=anna", &["ANNA Berg", "Anna Meyer"]),
        ("?name=ZO%C3%8B", &["Zoë Anders"]),
        ("?name=anders", &[]),
        ("?specialty=trauma&pincode=110001", &["ANNA Berg"]),
        ("?specialty=trauma&pincode=110001&name=anna%20b", &["ANNA Berg"]),
        ("?specialty=traum", &[]),
    ];
    for (query, expected) in cases {
        let found = mesh.get(&format!("/therapists{query}"), &who).await.expect(200);
        assert_eq!(names(&found), expected, "{query}");
    }
    for (query, bad) in [
        ("?specialty=trauma&expertise=grief", "expertise"),
        ("?pincode=!", "pincode"),
        ("?pincode=---", "pincode"),
        (&*format!("?name={}", "%EF%B7%BA".repeat(200)), "name"),
        (&*format!("?specialty={}", "%EF%B7%BA".repeat(200)), "specialty"),
        (&*format!("?expertise={}", "%EF%B7%BA".repeat(200)), "expertise"),
        ("?name=%07", "name"),
        ("?pageSize=-1", "pageSize"),
        ("?pageSize=many", "pageSize"),
        ("?pageToken=tampered", "pageToken"),
        ("?speciality=trauma", "speciality"),
    ] {
        let answer = mesh.get(&format!("/therapists{query}"), &who).await;
        assert_eq!((answer.status, answer.bad_fields()), (400, vec![bad]), "{query}: {}", answer.body);
    }
    mesh.stop().await;
}

async fn pages(mesh: &TestMesh, who: &Someone, query: &str, size: usize) -> Vec<String> {
    let mut all = Vec::new();
    let mut token = String::new();
    loop {
        let page = mesh.get(&format!("/therapists?pageSize={size}&{query}&pageToken={token}"), who).await;
        let next = page.headers.get("x-next-page-token").map(|token| token.to_str().unwrap().to_owned());
        let body = page.expect(200);
        assert!(body.as_array().unwrap().len() <= size);
        all.extend(names(&body).into_iter().map(str::to_owned));
        match next {
            Some(next) => token = next,
            None => return all,
        }
    }
}

async fn filtered_pages_match_brute_force_search(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let mut runner = TestRunner::default();
    println!("seed: {:?}", runner.rng());
    let mut draw = |most: usize| (0..most).new_tree(&mut runner).unwrap().current();
    let (specialties, pincodes) = (["Grief", "TRAUMA", "grief"], ["110001", "110 001", "EC1-A"]);
    let syllables = ["an", "An", "na", "Ben", "zo"];
    let mut people = Vec::new();
    for number in 0..24 {
        let name = format!("{}{} {number}", syllables[draw(5)], syllables[draw(5)]);
        people.push((name, specialties[draw(3)], pincodes[draw(3)]));
    }
    let mut who = None;
    for (name, specialty, pincode) in &people {
        who = Some(mesh.therapist(name, specialty, pincode).await);
    }
    let who = who.unwrap();
    let plain = |text: &str| text.to_lowercase().replace([' ', '-'], "");
    for _ in 0..20 {
        let specialty = [None, Some("gRIEF"), Some("trauma")][draw(3)];
        let pincode = [None, Some("1100-01"), Some("ec1a")][draw(3)];
        let prefix = ["", "a", "AN", "ben", "zoan"][draw(5)];
        let size = 1 + draw(9);
        let mut query = format!("name={prefix}");
        query.extend(specialty.map(|specialty| format!("&specialty={specialty}")));
        query.extend(pincode.map(|pincode| format!("&pincode={pincode}")));

        let mut expected: Vec<_> = people
            .iter()
            .filter(|(_, s, _)| specialty.is_none_or(|specialty| s.to_lowercase() == specialty.to_lowercase()))
            .filter(|(_, _, p)| pincode.is_none_or(|pincode| plain(p) == plain(pincode)))
            .filter(|(name, _, _)| name.to_lowercase().starts_with(&prefix.to_lowercase()))
            .map(|(name, _, _)| name.clone())
            .collect();
        expected.sort_by_key(|name| name.to_lowercase());
        assert_eq!(pages(&mesh, &who, &query, size).await, expected, "{query}, {size} a page");
    }
    mesh.stop().await;
}

async fn page_token_is_bound_to_caller_and_query(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let noor = mesh.therapist("Noor", "Grief", "110001").await;
    let other = mesh.therapist("Omar", "Grief", "110001").await;
    let page = mesh.get("/therapists?specialty=grief&pageSize=1", &noor).await;
    let token = page.headers["x-next-page-token"].to_str().unwrap().to_owned();
    page.expect(200);
    let good = format!("/therapists?specialty=grief&pageSize=7&pageToken={token}");
    assert_eq!(names(&mesh.get(&good, &noor).await.expect(200)), ["Omar"]);
    let flipped = if token.ends_with('A') { "B" } else { "A" };
    let tampered = format!("{}{flipped}", &token[..token.len() - 1]);
    for (path, who) in [
        (good.clone(), &other),
        (format!("/therapists?pageToken={token}"), &noor),
        (format!("/therapists?specialty=trauma&pageToken={token}"), &noor),
        (format!("/therapists?specialty=grief&name=n&pageToken={token}"), &noor),
        (format!("/therapists?specialty=grief&pageToken={tampered}x"), &noor),
        (format!("/therapists?specialty=grief&pageToken={}", &token[4..]), &noor),
    ] {
        let answer = mesh.get(&path, who).await;
        answer.refused(400, "INVALID_FIELDS");
        assert_eq!(answer.bad_fields(), ["pageToken"], "{path}");
    }
    mesh.stop().await;
}

async fn changed_profile_moves_in_directory(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let noor = mesh.therapist("Noor", "Grief", "110001").await;
    let moved = json!({"name": "Aisha", "email": noor.email, "specialty": "Trauma", "pincode": "110002"});
    mesh.ask(Method::PUT, &format!("/therapists/{}", noor.id), Some(&noor), Some(moved)).await.expect(200);
    for (query, found) in
        [("specialty=grief", 0), ("pincode=110001", 0), ("name=noor", 0), ("specialty=trauma", 1), ("name=ai", 1)]
    {
        let list = mesh.get(&format!("/therapists?{query}"), &noor).await.expect(200);
        assert_eq!(list.as_array().unwrap().len(), found, "{query}");
    }
    mesh.stop().await;
}

async fn longest_profiles_are_listed_page_by_page(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    // 800 bytes each: the most that a page token has to hold.
    let (bold, pincode) = ("\u{10400}".repeat(200), "\u{10400}".repeat(10));
    let mut who = None;
    for _ in 0..2 {
        who = Some(mesh.therapist(&bold, &bold, &pincode).await);
    }
    let who = who.unwrap();
    let encoded = "%F0%90%90%80";
    let query = format!("specialty={}&pincode={}", encoded.repeat(200), encoded.repeat(10));
    assert_eq!(pages(&mesh, &who, &query, 1).await, [bold.clone(), bold.clone()]);
    let query = format!("{query}&name={}", encoded.repeat(200));
    assert_eq!(pages(&mesh, &who, &query, 1).await, [bold.clone(), bold]);
    mesh.stop().await;
}

//! Contract §3, rules 1 and 20: two spellings of one address are one address.

use std::time::Duration;

use kit::mesh::{Answer, PASSWORD, Someone, TestMesh};
use kit::test_env::TestEnv;
use reqwest::Method;
use serde_json::json;

kit::on_each_env!(
    every_spelling_of_an_address_logs_in_and_is_taken,
    failed_logins_of_all_spellings_count_together,
    profile_lookup_and_invitation_take_every_spelling,
    domain_that_cannot_exist_is_refused,
);

/// Spellings of one address each: as it is registered, and others.
const SPELLINGS: [(&str, &[&str]); 4] = [
    (
        "Asha.Rao@exämple.org",
        &[
            "asha.rao@xn--exmple-cua.org",
            "asha.rao@XN--EXMPLE-CUA.org",
            "ASHA.RAO@EXÄMPLE.org",
            "asha.rao@exa\u{308}mple.org",
        ],
    ),
    ("ben@xn--exmple-cua.org", &["ben@exämple.org", "\"ben\"@exämple.org", "ｂｅｎ@exämple.org"]),
    ("\"c\\ara\"@example.org", &["cara@example.org", "\"cara\"@example.org"]),
    ("\"d..a\"@mail。example.org", &["\"d.\\.a\"@mail.example.org", "\"D..A\"@MAIL．example.org"]),
];

async fn register(mesh: &TestMesh, email: &str) -> Answer {
    let account = json!({"email": email, "password": PASSWORD, "role": "CLIENT"});
    mesh.ask(Method::POST, "/auth/register", None, Some(account)).await
}

async fn every_spelling_of_an_address_logs_in_and_is_taken(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    for (registered, others) in SPELLINGS {
        let user = register(&mesh, registered).await.expect(201);
        assert_eq!(user["email"], registered);
        for email in others.iter().chain([&registered]) {
            let someone = mesh.login(email, PASSWORD).await;
            assert_eq!(someone.id, user["userId"].as_str().unwrap(), "{email}");
            assert_eq!(someone.email, registered, "shown as it was registered");
            register(&mesh, email).await.refused(409, "EMAIL_TAKEN");
        }
    }
    // These are others.
    for email in ["asha.rao@example.org", "asharao@exämple.org", "d.a@mail.example.org", "ben@exaemple.org"] {
        register(&mesh, email).await.expect(201);
    }
    mesh.stop().await;
}

async fn failed_logins_of_all_spellings_count_together(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let spellings = ["asha@exämple.org", "asha@xn--exmple-cua.org", "\"asha\"@EXÄMPLE.org"];
    let try_login = async |email: &str| {
        let login = json!({"email": email, "password": "not the password"});
        mesh.ask(Method::POST, "/auth/login", None, Some(login)).await
    };
    for email in spellings.iter().cycle().take(10) {
        try_login(email).await.refused(401, "BAD_CREDENTIALS");
    }
    for email in spellings {
        try_login(email).await.refused(429, "TOO_MANY_FAILURES");
    }
    mesh.pass(Duration::from_secs(30));
    try_login(spellings[2]).await.refused(401, "BAD_CREDENTIALS");
    mesh.stop().await;
}

async fn profile_lookup_and_invitation_take_every_spelling(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    register(&mesh, "Asha@exämple.org").await.expect(201);
    let asha = mesh.login("asha@exämple.org", PASSWORD).await;
    let profile = json!({"name": "Asha", "email": "asha@xn--exmple-cua.org", "pincode": "110001"});
    let made = mesh.ask(Method::POST, "/clients", Some(&asha), Some(profile)).await.expect(201);
    assert_eq!(made["email"], "Asha@exämple.org", "the account's spelling");

    let noor = mesh.therapist("Noor", "Grief", "110001").await;
    let invitation = json!({"email": "\"asha\"@xn--exmple-cua.org", "requestType": "MAPPING"});
    mesh.ask(Method::POST, "/invitations", Some(&noor), Some(invitation)).await.expect(202);
    let requests = mesh.get(&format!("/mapping/{}/requests", asha.id), &asha).await.expect(200);
    assert_eq!(requests[0]["therapistId"], noor.id.as_str());
    let path = format!("/mapping/{}?therapistId={}", asha.id, noor.id);
    mesh.ask(Method::PUT, &path, Some(&asha), Some(json!({"status": "ACCEPTED"}))).await.expect(200);

    let find = async |email: &str, who: &Someone| mesh.get(&format!("/clients?email={email}"), who).await.expect(200);
    for email in ["asha@xn--exmple-cua.org", "ASHA@EX%C3%84MPLE.org", "%22asha%22@ex%C3%A4mple.org"] {
        assert_eq!(find(email, &noor).await[0]["clientId"], asha.id.as_str(), "{email}");
    }
    assert_eq!(find("asha@example.org", &noor).await, json!([]));
    mesh.stop().await;
}

async fn domain_that_cannot_exist_is_refused(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    for email in ["asha@under_score.org", "asha@xn--a.org", "asha@xn--zzzzzzzz.org"] {
        let refused = register(&mesh, email).await;
        refused.refused(400, "INVALID_FIELDS");
        assert_eq!(refused.bad_fields(), ["email"]);
        // An account of an earlier version may have it.
        let login = json!({"email": email, "password": PASSWORD});
        mesh.ask(Method::POST, "/auth/login", None, Some(login)).await.refused(401, "BAD_CREDENTIALS");
    }
    mesh.stop().await;
}

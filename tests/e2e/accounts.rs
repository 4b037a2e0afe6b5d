//! Contract §3, rules 1 to 3: accounts, passwords, logins.

use std::collections::BTreeSet;
use std::time::Duration;

use kit::mesh::{PASSWORD, Someone, TestMesh, answer, hash_as_in_production};
use kit::test_env::TestEnv;
use reqwest::Method;
use serde_json::{Value, json};

kit::on_each_env!(
    register_login_and_get_me_return_same_user,
    registration_race_across_cases_creates_one_account,
    invalid_registration_names_every_bad_field,
    unknown_address_and_wrong_password_answer_alike,
    ten_failures_lock_known_and_unknown_address_alike,
    parallel_guesses_count_like_sequential_ones,
    guess_of_disconnected_caller_counts,
    source_failures_lock_source_despite_forwarded_header,
    registrations_per_source_are_limited_hourly,
    taken_address_answers_per_source_are_limited_hourly,
    parallel_taken_address_answers_count_like_sequential_ones,
    refresh_token_reuse_ends_login,
    parallel_refreshes_get_one_successor,
    repeated_refresh_within_10s_gets_same_successor,
    refresh_grace_ends_when_successor_is_used,
    refresh_grace_ends_with_password_change,
    logout_ends_its_own_login_only,
    password_change_ends_other_logins,
    password_change_by_ended_login_is_rejected,
    login_racing_password_change_is_ended,
    unused_login_expires_after_30_days,
    signing_key_rotation_keeps_tokens_valid,
);

fn account(email: &str, password: &str) -> Value {
    json!({"email": email, "password": password, "role": "CLIENT"})
}

fn four_hashes_at_once(config: &mut mesh::Config) {
    hash_as_in_production(config);
    config.auth.hash_threads = Some(4);
}

async fn refresh(mesh: &TestMesh, token: &str) -> kit::mesh::Answer {
    mesh.ask(Method::POST, "/auth/refresh", None, Some(json!({"refreshToken": token}))).await
}

async fn try_login(mesh: &TestMesh, email: &str, password: &str) -> kit::mesh::Answer {
    mesh.ask(Method::POST, "/auth/login", None, Some(json!({"email": email, "password": password}))).await
}

async fn register_login_and_get_me_return_same_user(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let body = json!({"email": "Asha@Example.org", "password": PASSWORD, "role": "CLIENT"});
    let user = mesh.ask(Method::POST, "/auth/register", None, Some(body)).await.expect(201);
    assert_eq!(user["email"], "Asha@Example.org");
    assert_eq!(user["role"], "CLIENT");
    assert!(user["createdAt"].as_str().unwrap().ends_with('Z'));
    assert!(user.get("password").is_none());

    let pair = try_login(&mesh, "asha@example.ORG", PASSWORD).await;
    assert_eq!(pair.headers["cache-control"], "no-store");
    let pair = pair.expect(200);
    assert_eq!((pair["tokenType"].as_str(), pair["expiresIn"].as_i64()), (Some("Bearer"), Some(900)));
    assert_eq!(pair["user"], user);
    let me = mesh.get("/auth/me", &Someone::of(&pair)).await.expect(200);
    assert_eq!(me, user);
    mesh.stop().await;
}

async fn registration_race_across_cases_creates_one_account(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let spellings = ["one@example.org", "ONE@example.org", "One@Example.org", "one@EXAMPLE.ORG"];
    let tries = spellings.map(|email| {
        let request = mesh.request(Method::POST, "/auth/register").json(&account(email, PASSWORD));
        tokio::spawn(answer(request))
    });
    let mut made = 0;
    for each in tries {
        let answer = each.await.unwrap();
        if answer.status == 201 {
            made += 1;
        } else {
            answer.refused(409, "EMAIL_TAKEN");
        }
    }
    assert_eq!(made, 1);
    mesh.stop().await;
}

async fn invalid_registration_names_every_bad_field(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let register = |body| mesh.ask(Method::POST, "/auth/register", None, Some(body));
    let empty = register(json!({})).await;
    empty.refused(400, "INVALID_FIELDS");
    assert_eq!(empty.bad_fields(), ["email", "password", "role"]);
    let long = "x".repeat(129);
    for (email, password, role, bad) in [
        ("asha", PASSWORD, "CLIENT", "email"),
        ("a@example.org", "elevenchars", "CLIENT", "password"),
        ("a@example.org", long.as_str(), "CLIENT", "password"),
        ("a@example.org", "Password1234", "CLIENT", "password"),
        ("a@example.org", PASSWORD, "ROLE_UNSPECIFIED", "role"),
    ] {
        let answer = register(json!({"email": email, "password": password, "role": role})).await;
        answer.refused(400, "INVALID_FIELDS");
        assert_eq!(answer.bad_fields(), [bad]);
        assert!(!answer.body.to_string().contains(password), "a password is never repeated");
    }
    mesh.stop().await;
}

async fn unknown_address_and_wrong_password_answer_alike(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let known = mesh.join("CLIENT").await;
    let wrong = try_login(&mesh, &known.email, "not the password").await;
    let unknown = try_login(&mesh, "nobody@example.org", PASSWORD).await;
    wrong.refused(401, "BAD_CREDENTIALS");
    assert_eq!((wrong.status, &wrong.body), (unknown.status, &unknown.body));
    mesh.stop().await;
}

async fn ten_failures_lock_known_and_unknown_address_alike(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let known = mesh.join("CLIENT").await;
    for email in [known.email.as_str(), "nobody@example.org"] {
        for _ in 0..10 {
            try_login(&mesh, email, "not the password").await.refused(401, "BAD_CREDENTIALS");
        }
        let refused = try_login(&mesh, email, PASSWORD).await;
        refused.refused(429, "TOO_MANY_FAILURES");
        assert_eq!(refused.retry_after(), Some(30.0));
        assert_eq!(refused.headers["retry-after"], "30");
    }
    mesh.pass(Duration::from_secs(30));
    try_login(&mesh, &known.email, "not the password").await.refused(401, "BAD_CREDENTIALS");
    assert_eq!(try_login(&mesh, &known.email, PASSWORD).await.retry_after(), Some(60.0), "the pause grows");
    mesh.pass(Duration::from_secs(60));
    mesh.login(&known.email, PASSWORD).await;
    for _ in 0..9 {
        try_login(&mesh, &known.email, "not the password").await.refused(401, "BAD_CREDENTIALS");
    }
    mesh.login(&known.email, PASSWORD).await;
    mesh.stop().await;
}

async fn parallel_guesses_count_like_sequential_ones(env: TestEnv) {
    let mesh = TestMesh::start_with(env, four_hashes_at_once).await;
    let guesses: Vec<_> = (0..32)
        .map(|guess| {
            let body = json!({"email": "nobody@example.org", "password": format!("a guess no. {guess}")});
            tokio::spawn(answer(mesh.request(Method::POST, "/auth/login").json(&body)))
        })
        .collect();
    let mut looked_at = 0;
    for guess in guesses {
        looked_at += usize::from(guess.await.unwrap().status == 401);
    }
    assert_eq!(looked_at, 10);
    mesh.stop().await;
}

async fn guess_of_disconnected_caller_counts(env: TestEnv) {
    let mesh = TestMesh::start_with(env, hash_as_in_production).await;
    let known = mesh.join("CLIENT").await;
    for guess in 0..16 {
        let body = json!({"email": known.email, "password": format!("a guess no. {guess}")});
        let request = mesh.request(Method::POST, "/auth/login").json(&body).timeout(Duration::from_millis(50));
        let _ = request.send().await;
    }
    // Attempts for one address run one at a time: this one runs after the others.
    try_login(&mesh, &known.email, PASSWORD).await.refused(429, "TOO_MANY_FAILURES");
    mesh.stop().await;
}

async fn source_failures_lock_source_despite_forwarded_header(env: TestEnv) {
    let mesh = TestMesh::start_with(env, |config| config.auth.source_failures = 5).await;
    for number in 0..5 {
        let body = json!({"email": format!("nobody{number}@example.org"), "password": PASSWORD});
        let request = mesh.request(Method::POST, "/auth/login").json(&body);
        answer(request.header("x-forwarded-for", format!("192.0.2.{number}"))).await.refused(401, "BAD_CREDENTIALS");
    }
    let refused = try_login(&mesh, "somebody@example.org", PASSWORD).await;
    refused.refused(429, "TOO_MANY_FAILURES");
    assert_eq!(refused.retry_after(), Some(600.0));
    mesh.pass(Duration::from_secs(600));
    try_login(&mesh, "somebody@example.org", PASSWORD).await.refused(401, "BAD_CREDENTIALS");
    mesh.stop().await;
}

async fn registrations_per_source_are_limited_hourly(env: TestEnv) {
    let mesh = TestMesh::start_with(env, |config| config.auth.source_registrations = 3).await;
    let register =
        async |email: &str| mesh.ask(Method::POST, "/auth/register", None, Some(account(email, PASSWORD))).await;
    for number in 0..3 {
        register(&format!("a{number}@example.org")).await.expect(201);
    }
    for email in ["another@example.org", "a0@example.org"] {
        let refused = register(email).await;
        refused.refused(429, "TOO_MANY_REGISTRATIONS");
        assert_eq!(refused.retry_after(), Some(3600.0));
        assert_eq!(refused.headers["retry-after"], "3600");
    }
    mesh.login("a0@example.org", PASSWORD).await;
    mesh.pass(Duration::from_secs(3600));
    register("another@example.org").await.expect(201);
    mesh.stop().await;
}

async fn taken_address_answers_per_source_are_limited_hourly(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let known = mesh.join("CLIENT").await;
    let register =
        async |email: &str| mesh.ask(Method::POST, "/auth/register", None, Some(account(email, PASSWORD))).await;
    for _ in 0..20 {
        register(&known.email).await.refused(409, "EMAIL_TAKEN");
    }
    let (taken, free) = (register(&known.email).await, register("nobody@example.org").await);
    taken.refused(429, "TOO_MANY_REGISTRATIONS");
    assert_eq!((taken.status, &taken.body), (free.status, &free.body));
    mesh.login(&known.email, PASSWORD).await;
    mesh.pass(Duration::from_secs(3600));
    register(&known.email).await.refused(409, "EMAIL_TAKEN");
    register("nobody@example.org").await.expect(201);
    mesh.stop().await;
}

async fn parallel_taken_address_answers_count_like_sequential_ones(env: TestEnv) {
    let mesh = TestMesh::start_with(env, hash_as_in_production).await;
    let known = mesh.join("CLIENT").await;
    let asked: Vec<_> = (0..60)
        .map(|_| {
            let body = account(&known.email, PASSWORD);
            tokio::spawn(answer(mesh.request(Method::POST, "/auth/register").json(&body)))
        })
        .collect();
    let mut told = 0;
    for each in asked {
        let answer = each.await.unwrap();
        if answer.status == 409 {
            told += 1;
        } else {
            answer.refused(429, "TOO_MANY_REGISTRATIONS");
        }
    }
    assert_eq!(told, 20);
    mesh.stop().await;
}

/// A refresh token is valid once; other logins of the account continue.
async fn refresh_token_reuse_ends_login(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let first = mesh.join("CLIENT").await;
    let elsewhere = mesh.login(&first.email, PASSWORD).await;
    let second = Someone::of(&refresh(&mesh, &first.refresh).await.expect(200));
    let third = Someone::of(&refresh(&mesh, &second.refresh).await.expect(200));
    mesh.get("/auth/me", &third).await.expect(200);

    refresh(&mesh, &first.refresh).await.refused(401, "REFRESH_TOKEN_INVALID");
    refresh(&mesh, &third.refresh).await.refused(401, "REFRESH_TOKEN_INVALID");
    refresh(&mesh, &elsewhere.refresh).await.expect(200);
    for forged in ["", "x", third.token.as_str(), &third.refresh[1..]] {
        let status = refresh(&mesh, forged).await.status;
        assert!(status == 401 || forged.is_empty() && status == 400, "{forged}: {status}");
    }
    mesh.stop().await;
}

async fn parallel_refreshes_get_one_successor(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let who = mesh.join("CLIENT").await;
    let tries: Vec<_> = (0..16)
        .map(|_| {
            let body = json!({"refreshToken": who.refresh});
            tokio::spawn(answer(mesh.request(Method::POST, "/auth/refresh").json(&body)))
        })
        .collect();
    let mut successors = BTreeSet::new();
    for each in tries {
        let pair = Someone::of(&each.await.unwrap().expect(200));
        mesh.get("/auth/me", &pair).await.expect(200);
        successors.insert(pair.refresh);
    }
    assert_eq!(successors.len(), 1);
    refresh(&mesh, successors.first().unwrap()).await.expect(200);
    mesh.stop().await;
}

async fn repeated_refresh_within_10s_gets_same_successor(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let first = mesh.join("CLIENT").await;
    let second = Someone::of(&refresh(&mesh, &first.refresh).await.expect(200));
    for _ in 0..2 {
        mesh.pass(Duration::from_secs(5));
        let again = Someone::of(&refresh(&mesh, &first.refresh).await.expect(200));
        assert_eq!(again.refresh, second.refresh);
        mesh.get("/auth/me", &again).await.expect(200);
    }
    // The ten seconds start at the first use.
    mesh.pass(Duration::from_millis(1));
    refresh(&mesh, &first.refresh).await.refused(401, "REFRESH_TOKEN_INVALID");
    refresh(&mesh, &second.refresh).await.refused(401, "REFRESH_TOKEN_INVALID");
    mesh.stop().await;
}

async fn refresh_grace_ends_when_successor_is_used(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let first = mesh.join("CLIENT").await;
    let second = Someone::of(&refresh(&mesh, &first.refresh).await.expect(200));
    let third = Someone::of(&refresh(&mesh, &second.refresh).await.expect(200));
    assert_eq!(Someone::of(&refresh(&mesh, &second.refresh).await.expect(200)).refresh, third.refresh);
    refresh(&mesh, &first.refresh).await.refused(401, "REFRESH_TOKEN_INVALID");
    refresh(&mesh, &second.refresh).await.refused(401, "REFRESH_TOKEN_INVALID");
    refresh(&mesh, &third.refresh).await.refused(401, "REFRESH_TOKEN_INVALID");
    mesh.stop().await;
}

async fn refresh_grace_ends_with_password_change(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let first = mesh.join("CLIENT").await;
    let second = Someone::of(&refresh(&mesh, &first.refresh).await.expect(200));
    let change = json!({"currentPassword": PASSWORD, "newPassword": "eight loud sparrows"});
    mesh.ask(Method::PUT, "/auth/password", Some(&second), Some(change)).await.expect(200);
    refresh(&mesh, &first.refresh).await.refused(401, "REFRESH_TOKEN_INVALID");
    refresh(&mesh, &second.refresh).await.refused(401, "REFRESH_TOKEN_INVALID");
    mesh.stop().await;
}

async fn logout_ends_its_own_login_only(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let here = mesh.join("CLIENT").await;
    let elsewhere = mesh.login(&here.email, PASSWORD).await;
    for _ in 0..2 {
        mesh.ask(Method::POST, "/auth/logout", Some(&here), None).await.expect(200);
    }
    refresh(&mesh, &here.refresh).await.refused(401, "REFRESH_TOKEN_INVALID");
    let change = json!({"currentPassword": PASSWORD, "newPassword": "eight loud sparrows"});
    mesh.ask(Method::PUT, "/auth/password", Some(&here), Some(change)).await.refused(401, "LOGIN_ENDED");
    refresh(&mesh, &elsewhere.refresh).await.expect(200);
    mesh.stop().await;
}

async fn password_change_ends_other_logins(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let here = mesh.join("THERAPIST").await;
    let elsewhere = mesh.login(&here.email, PASSWORD).await;
    let change = |current: &str, new: &str| {
        mesh.ask(
            Method::PUT,
            "/auth/password",
            Some(&here),
            Some(json!({"currentPassword": current, "newPassword": new})),
        )
    };
    let new = "eight loud sparrows";
    change("not the password", new).await.refused(403, "WRONG_PASSWORD");
    let same = change(PASSWORD, PASSWORD).await;
    same.refused(400, "INVALID_FIELDS");
    assert_eq!(same.bad_fields(), ["newPassword"]);
    change(PASSWORD, new).await.expect(200);

    refresh(&mesh, &elsewhere.refresh).await.refused(401, "REFRESH_TOKEN_INVALID");
    refresh(&mesh, &here.refresh).await.expect(200);
    try_login(&mesh, &here.email, PASSWORD).await.refused(401, "BAD_CREDENTIALS");
    mesh.login(&here.email, new).await;
    mesh.stop().await;
}

async fn password_change_by_ended_login_is_rejected(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let here = mesh.join("CLIENT").await;
    let elsewhere = mesh.login(&here.email, PASSWORD).await;
    let change = async |who: &Someone, current: &str, new: &str| {
        let change = json!({"currentPassword": current, "newPassword": new});
        mesh.ask(Method::PUT, "/auth/password", Some(who), Some(change)).await
    };
    change(&elsewhere, PASSWORD, "eight loud sparrows").await.expect(200);
    // Its access token is still valid, and its holder knows the new password.
    mesh.get("/auth/me", &here).await.expect(200);
    change(&here, "eight loud sparrows", "nine small owls").await.refused(401, "LOGIN_ENDED");
    refresh(&mesh, &here.refresh).await.refused(401, "REFRESH_TOKEN_INVALID");
    refresh(&mesh, &elsewhere.refresh).await.expect(200);
    mesh.login(&here.email, "eight loud sparrows").await;
    mesh.stop().await;
}

async fn login_racing_password_change_is_ended(env: TestEnv) {
    let mesh = TestMesh::start_with(env, four_hashes_at_once).await;
    for _ in 0..4 {
        let who = mesh.join("CLIENT").await;
        let logins: Vec<_> = (0..4)
            .map(|_| {
                let body = json!({"email": who.email, "password": PASSWORD});
                tokio::spawn(answer(mesh.request(Method::POST, "/auth/login").json(&body)))
            })
            .collect();
        let change = json!({"currentPassword": PASSWORD, "newPassword": "eight loud sparrows"});
        mesh.ask(Method::PUT, "/auth/password", Some(&who), Some(change)).await.expect(200);
        for login in logins {
            let login = login.await.unwrap();
            if login.status == 200 {
                refresh(&mesh, &Someone::of(&login.body).refresh).await.refused(401, "REFRESH_TOKEN_INVALID");
            } else {
                login.refused(401, "BAD_CREDENTIALS");
            }
        }
    }
    mesh.stop().await;
}

async fn unused_login_expires_after_30_days(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let who = mesh.join("CLIENT").await;
    mesh.pass(Duration::from_secs(29 * 86_400));
    let who = Someone::of(&refresh(&mesh, &who.refresh).await.expect(200));
    mesh.pass(Duration::from_secs(30 * 86_400));
    refresh(&mesh, &who.refresh).await.refused(401, "REFRESH_TOKEN_INVALID");
    mesh.stop().await;
}

async fn signing_key_rotation_keeps_tokens_valid(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let kids = async || {
        let jwks = answer(mesh.request(Method::GET, "/.well-known/jwks.json")).await.expect(200);
        let keys = jwks["keys"].as_array().unwrap().clone();
        assert!(keys.iter().all(|key| key["kty"] == "OKP" && key["crv"] == "Ed25519" && key.get("d").is_none()));
        keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let who = mesh.join("CLIENT").await;
    let first = kids().await;
    assert_eq!(first.len(), 1);
    mesh.pass(Duration::from_secs(29 * 86_400 + 60));
    let both = kids().await;
    assert_eq!((both.len(), &both[0]), (2, &first[0]), "the next key is published before it signs");
    let before = mesh.login(&who.email, PASSWORD).await;
    mesh.pass(Duration::from_secs(86_400 - 300));
    let before = Someone::of(&refresh(&mesh, &before.refresh).await.expect(200));
    mesh.pass(Duration::from_secs(600));
    let after = mesh.login(&who.email, PASSWORD).await;
    mesh.get("/clients", &before).await.expect(200);
    mesh.get("/clients", &after).await.expect(200);
    mesh.pass(Duration::from_secs(2 * 3600));
    assert_eq!(kids().await, both[1..], "a key that no good token is signed with is gone");
    mesh.stop().await;
}

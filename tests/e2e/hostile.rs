//! Bad input over REST is answered with a google.rpc.Status that says what is wrong, never with a 5xx.

use kit::mesh::{TestMesh, answer};
use kit::test_env::TestEnv;
use reqwest::Method;

kit::on_each_env!(fronts:
    malformed_body_is_rejected,
    body_that_is_no_object_is_named_as_body,
    misread_parameter_is_explained,
    unknown_route_is_not_found,
    odd_metadata_is_ignored,
);

async fn malformed_body_is_rejected(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let nested = format!("{}1{}", "{\"email\":".repeat(5_000), "}".repeat(5_000));
    for body in ["{", "", "nonsense", "[]", "7", "null", "{\"email\": }", &deep, &nested, "{\"email\":\"\\ud800\"}"] {
        let request = mesh.request(Method::POST, "/auth/login").header("content-type", "application/json");
        let refused = answer(request.body(body.to_owned())).await;
        assert_eq!(refused.status, 400, "{}: {}", &body[..body.len().min(40)], refused.body);
        assert!(!refused.reason().is_empty(), "{}", refused.body);
    }
    let utf8 = mesh.request(Method::POST, "/auth/login").header("content-type", "application/json");
    assert_eq!(answer(utf8.body(b"{\"email\":\"\xff\"}".to_vec())).await.status, 400);
    let large = mesh.request(Method::POST, "/auth/login").header("content-type", "application/json");
    assert_eq!(answer(large.body(vec![b' '; 2 * 1024 * 1024])).await.status, 413);
    let form = mesh.request(Method::POST, "/auth/login").header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(answer(form.body("email=a&password=b")).await.status, 400);
    mesh.stop().await;
}

async fn body_that_is_no_object_is_named_as_body(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let asha = mesh.client("Asha").await;
    for path in ["/auth/login", "/auth/register"] {
        for body in ["null", "7", "\"a\""] {
            let request = mesh.request(Method::POST, path).header("content-type", "application/json");
            let refused = answer(request.bearer_auth(&asha.token).body(body)).await;
            refused.refused(400, "INVALID_FIELDS");
            assert_eq!(refused.violations(), [("body", "MALFORMED", "must be a JSON object")], "{path} {body}");
        }
    }
    mesh.stop().await;
}

async fn misread_parameter_is_explained(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let asha = mesh.client("Asha").await;
    for value in ["True", "TRUE", "1", "yes", ""] {
        let refused = mesh.get(&format!("/mapping/{}?journalAccess={value}", asha.id), &asha).await;
        refused.refused(400, "INVALID_FIELDS");
        assert_eq!(refused.violations(), [("journalAccess", "MALFORMED", "must be true or false")], "{value}");
    }
    let refused = mesh.get(&format!("/journal/{}?from=2026-01-01T00:00:00+05:30", asha.id), &asha).await;
    let expected = ("from", "MALFORMED", "has a + that stands for a space: write + as %2B");
    assert_eq!(refused.violations(), [expected]);
    mesh.stop().await;
}

async fn unknown_route_is_not_found(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    for (method, path) in [
        (Method::GET, "/nothing"),
        (Method::POST, "/auth/login/x"),
        (Method::PATCH, "/clients"),
        (Method::HEAD, "/therapists"),
        (Method::GET, "/auth/login"),
        (Method::GET, "/../etc/passwd"),
        (Method::GET, "//clients//"),
    ] {
        let status = answer(mesh.request(method.clone(), path)).await.status;
        assert!(status == 404 || status == 401, "{method} {path}: {status}");
    }
    for path in ["/clients/%", "/clients/%zz", "/clients/%00", "/clients/%c0%af"] {
        assert_eq!(answer(mesh.request(Method::GET, path)).await.status, 400, "{path}");
    }
    mesh.stop().await;
}

async fn odd_metadata_is_ignored(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let asha = mesh.client("Asha").await;
    for (name, value) in [
        ("grpc-timeout", "99999999H"),
        ("grpc-timeout", "-1S"),
        ("traceparent", "00-zz"),
        ("x-http-code", "500"),
        ("content-length", "0"),
        ("x-forwarded-for", "not, an, address"),
        ("workload-identity-token", "forged"),
    ] {
        let request = mesh.request(Method::GET, "/clients").bearer_auth(&asha.token).header(name, value);
        let got = answer(request).await;
        assert_eq!(got.status, 200, "{name}: {value}: {}", got.body);
    }
    mesh.stop().await;
}

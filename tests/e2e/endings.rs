//! Ending an account: all of it or, for a while, all but the last step.

use kit::engine::Engine;
use kit::mesh::{PASSWORD, TestMesh};
use reqwest::Method;
use serde_json::json;

kit::on_each_engine!(
    ending_an_account_ends_its_logins_its_address_and_its_profile,
    an_ended_account_cannot_come_back_by_a_token_that_is_still_good,
    an_account_without_a_profile_can_be_ended,
);

async fn ending_an_account_ends_its_logins_its_address_and_its_profile(engine: Engine) {
    let mesh = TestMesh::start(engine).await;
    let (asha, noor) = (mesh.client("Asha").await, mesh.therapist("Noor", "Grief", "110001").await);
    let reader = mesh.join("CLIENT").await;
    for (who, path) in [(&asha, format!("/clients/{}", asha.id)), (&noor, format!("/therapists/{}", noor.id))] {
        let gone = mesh.ask(Method::DELETE, &path, Some(who), None).await;
        assert_eq!((gone.status, &gone.body), (204, &serde_json::Value::Null));
        mesh.get(&path, who).await.refused(404, "NOT_FOUND");
        mesh.get("/auth/me", who).await.refused(401, "ACCOUNT_ENDED");
        let refresh = json!({"refreshToken": who.refresh});
        mesh.ask(Method::POST, "/auth/refresh", None, Some(refresh)).await.refused(401, "REFRESH_TOKEN_INVALID");
        let login = json!({"email": who.email, "password": PASSWORD});
        mesh.ask(Method::POST, "/auth/login", None, Some(login)).await.refused(401, "BAD_CREDENTIALS");
        mesh.ask(Method::DELETE, &path, Some(who), None).await.refused(404, "NOT_FOUND");
    }
    assert_eq!(mesh.get("/therapists", &reader).await.expect(200), json!([]));
    let again = json!({"email": asha.email, "password": PASSWORD, "role": "CLIENT"});
    mesh.ask(Method::POST, "/auth/register", None, Some(again)).await.expect(201);
    mesh.stop().await;
}

async fn an_ended_account_cannot_come_back_by_a_token_that_is_still_good(engine: Engine) {
    let mesh = TestMesh::start(engine).await;
    let asha = mesh.client("Asha").await;
    let path = format!("/clients/{}", asha.id);
    assert_eq!(mesh.ask(Method::DELETE, &path, Some(&asha), None).await.status, 204);
    let profile = json!({"name": "Asha", "email": asha.email, "pincode": "110001"});
    mesh.ask(Method::POST, "/clients", Some(&asha), Some(profile.clone())).await.refused(401, "ACCOUNT_ENDED");
    mesh.ask(Method::PUT, &path, Some(&asha), Some(profile)).await.refused(404, "NOT_FOUND");
    mesh.stop().await;
}

async fn an_account_without_a_profile_can_be_ended(engine: Engine) {
    let mesh = TestMesh::start(engine).await;
    let asha = mesh.join("CLIENT").await;
    assert_eq!(mesh.ask(Method::DELETE, &format!("/clients/{}", asha.id), Some(&asha), None).await.status, 204);
    mesh.get("/auth/me", &asha).await.refused(401, "ACCOUNT_ENDED");
    mesh.stop().await;
}

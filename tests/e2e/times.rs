//! Contract §2, conventions: any instant of a proto Timestamp is taken where no rule bounds it, times are kept to the
//! millisecond, and second 60 is refused.

use kit::mesh::{Answer, Someone, TestMesh};
use kit::test_env::{Front, TestEnv};
use reqwest::Method;
use serde_json::{Value, json};

kit::on_each_env!(
    grant_takes_first_and_last_instant,
    grant_beyond_first_and_last_instant_is_refused,
    fraction_is_kept_to_the_millisecond,
    leap_second_is_refused_everywhere,
);

const FIRST: &str = "0001-01-01T00:00:00Z";

async fn mapped(mesh: &TestMesh) -> (Someone, Someone) {
    let (asha, noor) = (mesh.client("Asha").await, mesh.therapist("Noor", "Grief", "110001").await);
    let map = json!({"therapistId": noor.id});
    mesh.ask(Method::POST, &format!("/mapping/{}", asha.id), Some(&asha), Some(map)).await.expect(201);
    (asha, noor)
}

async fn grant(mesh: &TestMesh, client: &Someone, therapist: &Someone, limits: Value) -> Answer {
    let mut change = json!({"access": "ACCEPTED"});
    change.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
    let path = format!("/journal/{}/access?therapistId={}", client.id, therapist.id);
    mesh.ask(Method::PUT, &path, Some(client), Some(change)).await
}

async fn grant_takes_first_and_last_instant(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = mapped(&mesh).await;
    let journal = format!("/journal/{}", asha.id);
    let entry = json!({"emotion": "calm", "intensity": 3, "timestamp": "2099-12-31T09:00:00Z"});
    mesh.ask(Method::POST, &journal, Some(&asha), Some(entry)).await.expect(201);
    for (from, until, entries) in [
        (FIRST, "9999-12-31T23:59:59Z", 1),
        (FIRST, "9999-12-31T23:59:59.999Z", 1),
        (FIRST, "9999-12-30T22:00:01Z", 1),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T00:00:00Z", 0),
    ] {
        let limits = json!({"entriesFrom": from, "expiresAt": until});
        let granted = grant(&mesh, &asha, &noor, limits.clone()).await.expect(200);
        assert_eq!((&granted["entriesFrom"], &granted["expiresAt"]), (&json!(from), &json!(until)));
        assert_eq!(grant(&mesh, &asha, &noor, limits).await.expect(200), granted, "the same grant");
        assert_eq!(mesh.get(&journal, &noor).await.expect(200).as_array().unwrap().len(), entries, "{from} {until}");
        let shown = mesh.get(&format!("/clients/{}/therapists", asha.id), &asha).await.expect(200);
        assert_eq!((&shown[0]["entriesFrom"], &shown[0]["expiresAt"]), (&json!(from), &json!(until)));
    }
    mesh.stop().await;
}

async fn grant_beyond_first_and_last_instant_is_refused(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = mapped(&mesh).await;
    for (field, time) in [
        ("entriesFrom", "0001-01-01T00:00:00+00:01"),
        ("entriesFrom", "0000-12-31T23:59:59Z"),
        ("expiresAt", "9999-12-31T23:59:59-00:01"),
        ("expiresAt", "10000-01-01T00:00:00Z"),
        ("expiresAt", FIRST),
    ] {
        let refused = grant(&mesh, &asha, &noor, json!({field: time})).await;
        assert_eq!((refused.status, refused.bad_fields()), (400, vec![field]), "{time}: {}", refused.body);
    }
    mesh.stop().await;
}

async fn fraction_is_kept_to_the_millisecond(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = mapped(&mesh).await;
    let limits =
        json!({"entriesFrom": "2099-12-01T00:00:00.123456789Z", "expiresAt": "9999-12-31T23:59:59.999999999Z"});
    let granted = grant(&mesh, &asha, &noor, limits.clone()).await.expect(200);
    assert_eq!(granted["entriesFrom"], "2099-12-01T00:00:00.123Z");
    assert_eq!(granted["expiresAt"], "9999-12-31T23:59:59.999Z");
    assert_eq!(grant(&mesh, &asha, &noor, limits).await.expect(200)["grantId"], granted["grantId"], "the same grant");

    let session =
        json!({"sessionDate": "2100-02-02T00:00:00.123456789+05:30", "startTime": "10:00", "endTime": "11:00"});
    let made = mesh.ask(Method::POST, "/sessions", Some(&noor), Some(session)).await.expect(201);
    assert_eq!(made["sessionDate"], "2100-02-02T00:00:00.123+05:30");
    let path = format!("/sessions/{}", made["sessionId"].as_str().unwrap());
    let moved = json!({"sessionDate": "2100-02-03T00:00:00.9999999+05:30"});
    let moved = mesh.ask(Method::PUT, &path, Some(&noor), Some(moved)).await.expect(200);
    assert_eq!(moved["sessionDate"], "2100-02-03T00:00:00.999+05:30");
    let request = json!({"therapistId": noor.id, "appointmentDate": "2100-02-03T10:30:00.0009+05:30"});
    let asked = mesh.ask(Method::POST, "/appointments", Some(&asha), Some(request)).await.expect(201);
    assert_eq!(asked["appointmentDate"], "2100-02-03T10:30:00+05:30");
    mesh.stop().await;
}

async fn leap_second_is_refused_everywhere(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = mapped(&mesh).await;
    const LEAP: &str = "2100-06-30T23:59:60Z";
    let post = async |path: &str, who: &Someone, body: Value| mesh.ask(Method::POST, path, Some(who), Some(body)).await;
    let journal = format!("/journal/{}", asha.id);
    let refused = [
        ("entriesFrom", grant(&mesh, &asha, &noor, json!({"entriesFrom": LEAP})).await),
        ("expiresAt", grant(&mesh, &asha, &noor, json!({"expiresAt": LEAP})).await),
        ("timestamp", post(&journal, &asha, json!({"emotion": "calm", "intensity": 3, "timestamp": LEAP})).await),
        ("from", mesh.get(&format!("{journal}?from={LEAP}"), &asha).await),
        ("afterDate", mesh.get(&format!("/sessions?afterDate={LEAP}"), &noor).await),
        ("sessionDate", post("/sessions", &noor, json!({"sessionDate": LEAP, "endTime": "23:59"})).await),
        (
            "appointmentDate",
            post("/appointments", &asha, json!({"therapistId": noor.id, "appointmentDate": LEAP})).await,
        ),
    ];
    for (field, refused) in refused {
        // Envoy's transcoder has one reason for each Timestamp in a body that it can't read.
        let is_timestamp_in_body = ["entriesFrom", "expiresAt", "timestamp"].contains(&field);
        let reason = if env.front == Front::Envoy && is_timestamp_in_body { "MALFORMED" } else { "OUT_OF_RANGE" };
        let violations: Vec<_> = refused.violations().into_iter().map(|(field, reason, _)| (field, reason)).collect();
        assert_eq!((refused.status, violations), (400, vec![(field, reason)]), "{}", refused.body);
    }
    mesh.stop().await;
}

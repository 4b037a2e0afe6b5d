//! Contract §2, rows /appointments, stories C7 and T8, and rules 9 to 12 and 14: requests for sessions and their life.

mod refusals;

use std::time::Duration;

use kit::mesh::{Answer, PASSWORD, Someone, TestMesh, answer};
use kit::test_env::TestEnv;
use reqwest::Method;
use serde_json::{Value, json};

kit::on_each_env!(
    accepted_request_books_session,
    session_is_found_by_therapist_and_time,
    acceptance_rejects_competing_request,
    revocation_makes_session_available,
    session_cancellation_revokes_appointment,
    reopened_session_revokes_appointment,
    session_created_for_client_is_booked,
    request_expires_when_session_begins,
    pending_request_can_be_withdrawn,
    pages_of_any_size_list_all,
    repeated_post_with_key_returns_same_appointment,
    account_deletion_ends_appointments,
);

/// Well-formed id of no person or thing.
const NOBODY: &str = "01933b5e-7a4c-7def-8abc-0123456789ab";

/// A therapist who offers sessions.
struct Practice<'a> {
    mesh: &'a TestMesh,
    therapist: Someone,
}

impl<'a> Practice<'a> {
    async fn open(mesh: &'a TestMesh) -> Self {
        Self { mesh, therapist: mesh.therapist("Noor", "Grief", "110001").await }
    }

    /// Adds an available session of half an hour on 2 January 2100, at this hour in India. Returns its id.
    async fn session(&self, hour: u32) -> String {
        id(&self.offer(slot(hour)).await.expect(201), "sessionId")
    }

    async fn offer(&self, session: Value) -> Answer {
        self.mesh.ask(Method::POST, "/sessions", Some(&self.therapist), Some(session)).await
    }

    fn request(&self, session: &str, hour: u32) -> Value {
        json!({"therapistId": self.therapist.id, "appointmentDate": at(hour), "sessionId": session})
    }

    async fn ask(&self, client: &Someone, session: &str, hour: u32) -> Answer {
        self.mesh.ask(Method::POST, "/appointments", Some(client), Some(self.request(session, hour))).await
    }

    async fn change(&self, who: &Someone, appointment: &str, status: &str) -> Answer {
        let path = format!("/appointments/{appointment}/status");
        self.mesh.ask(Method::PUT, &path, Some(who), Some(json!({"status": status}))).await
    }

    async fn accept(&self, appointment: &str) -> Answer {
        self.change(&self.therapist, appointment, "ACCEPTED").await
    }

    /// Returns a new client and the id of the client's ACCEPTED appointment.
    async fn booked(&self, session: &str, hour: u32) -> (Someone, String) {
        let client = self.mesh.client("Asha").await;
        let asked = id(&self.ask(&client, session, hour).await.expect(201), "appointmentId");
        assert_eq!(self.accept(&asked).await.expect(200)["status"], "ACCEPTED");
        (client, asked)
    }

    async fn status(&self, appointment: &str) -> Value {
        let path = format!("/appointments/{appointment}/status");
        let told = self.mesh.get(&path, &self.therapist).await.expect(200);
        assert_eq!(told["appointmentId"], appointment);
        told["status"].clone()
    }

    async fn slot(&self, session: &str) -> Value {
        self.mesh.get(&format!("/sessions/{session}"), &self.therapist).await.expect(200)
    }

    async fn must_be(&self, session: &str, status: &str, client: &str) {
        let slot = self.slot(session).await;
        assert_eq!((&slot["status"], &slot["clientId"]), (&json!(status), &json!(client)), "{slot}");
    }
}

/// Returns 2 January 2100, at this hour in India.
fn at(hour: u32) -> String {
    format!("2100-01-02T{hour:02}:00:00+05:30")
}

fn slot(hour: u32) -> Value {
    json!({"sessionDate": at(hour), "endTime": format!("{hour:02}:30"), "sharedNotes": "Bring three things."})
}

fn id(answer: &Value, field: &str) -> String {
    answer[field].as_str().unwrap().to_owned()
}

async fn accepted_request_books_session(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let practice = Practice::open(&mesh).await;
    let (client, session) = (mesh.client("Asha").await, practice.session(10).await);
    let asked = practice.ask(&client, &session, 10).await.expect(201);
    assert_eq!(asked["appointmentDate"], at(10));
    assert_eq!(asked["createdAt"], "2100-01-01T00:00:00Z");
    let fields: Vec<_> = ["clientId", "therapistId", "sessionId", "status"].map(|field| asked[field].clone()).into();
    assert_eq!(json!(fields), json!([client.id, practice.therapist.id, session, "PENDING"]));
    let appointment = id(&asked, "appointmentId");
    let path = format!("/appointments/{appointment}");
    for who in [&client, &practice.therapist] {
        assert_eq!(mesh.get(&path, who).await.expect(200), asked);
        assert_eq!(mesh.get("/appointments", who).await.expect(200), json!([asked]));
    }
    practice.must_be(&session, "AVAILABLE", "").await;

    // The therapist finds the client among the related ones from then on.
    let related = format!("/therapists/{}/clients", practice.therapist.id);
    assert_eq!(mesh.get(&related, &practice.therapist).await.expect(200)[0]["clientId"], client.id);

    let accepted = practice.accept(&appointment).await.expect(200);
    assert_eq!(accepted["status"], "ACCEPTED");
    assert_eq!(practice.accept(&appointment).await.expect(200), accepted, "doing it again changes nothing");
    practice.must_be(&session, "BOOKED", &client.id).await;
    let seen = mesh.get(&format!("/sessions/{session}"), &client).await.expect(200);
    assert_eq!(seen["sharedNotes"], "Bring three things.");
    mesh.stop().await;
}

async fn session_is_found_by_therapist_and_time(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let practice = Practice::open(&mesh).await;
    let (client, session) = (mesh.client("Asha").await, practice.session(10).await);
    let request = json!({"therapistId": practice.therapist.id, "appointmentDate": "2100-01-02T04:40:00Z",
        "clientId": client.id});
    let asked = mesh.ask(Method::POST, "/appointments", Some(&client), Some(request)).await.expect(201);
    assert_eq!((&asked["sessionId"], &asked["appointmentDate"]), (&json!(session), &json!("2100-01-02T04:40:00Z")));
    let elsewhere = json!({"therapistId": practice.therapist.id, "appointmentDate": at(12)});
    let refused = mesh.ask(Method::POST, "/appointments", Some(&client), Some(elsewhere)).await;
    refused.refused(404, "NOT_FOUND");
    mesh.stop().await;
}

async fn acceptance_rejects_competing_request(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let practice = Practice::open(&mesh).await;
    let (first, second, third) = (mesh.client("Asha").await, mesh.client("Bo").await, mesh.client("Cy").await);
    let session = practice.session(10).await;
    let one = id(&practice.ask(&first, &session, 10).await.expect(201), "appointmentId");
    let other = id(&practice.ask(&second, &session, 10).await.expect(201), "appointmentId");
    practice.accept(&other).await.expect(200);
    assert_eq!(practice.status(&one).await, "REJECTED");
    practice.accept(&one).await.refused(400, "NOT_PENDING");
    practice.ask(&third, &session, 10).await.refused(409, "SLOT_TAKEN");
    practice.must_be(&session, "BOOKED", &second.id).await;
    let pending = mesh.get("/appointments?status=PENDING", &practice.therapist).await.expect(200);
    assert_eq!(pending, json!([]));
    mesh.stop().await;
}

async fn revocation_makes_session_available(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let practice = Practice::open(&mesh).await;
    let session = practice.session(10).await;
    for by_client in [true, false] {
        let (client, appointment) = practice.booked(&session, 10).await;
        let who = if by_client { &client } else { &practice.therapist };
        let revoked = practice.change(who, &appointment, "REVOKED").await.expect(200);
        assert_eq!(revoked["status"], "REVOKED");
        assert_eq!(practice.change(&client, &appointment, "REVOKED").await.expect(200), revoked);
        practice.must_be(&session, "AVAILABLE", "").await;
        assert_eq!(practice.slot(&session).await["sharedNotes"], "", "they were the client's");
        practice.accept(&appointment).await.refused(400, "NOT_PENDING");
    }
    mesh.stop().await;
}

async fn session_cancellation_revokes_appointment(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let practice = Practice::open(&mesh).await;
    for (hour, delete) in [(10, false), (11, true)] {
        let session = practice.session(hour).await;
        let (_, appointment) = practice.booked(&session, hour).await;
        let path = format!("/sessions/{session}");
        let therapist = Some(&practice.therapist);
        if delete {
            mesh.ask(Method::DELETE, &path, therapist, None).await.expect(204);
        } else {
            mesh.ask(Method::PUT, &path, therapist, Some(json!({"status": "CANCELLED"}))).await.expect(200);
        }
        assert_eq!(practice.status(&appointment).await, "REVOKED");
    }
    // Requests for a session that does not take place are rejected.
    let (client, session) = (mesh.client("Asha").await, practice.session(12).await);
    let asked = id(&practice.ask(&client, &session, 12).await.expect(201), "appointmentId");
    mesh.ask(Method::DELETE, &format!("/sessions/{session}"), Some(&practice.therapist), None).await.expect(204);
    assert_eq!(practice.status(&asked).await, "REJECTED");
    practice.ask(&client, &session, 12).await.refused(404, "NOT_FOUND");
    mesh.stop().await;
}

async fn reopened_session_revokes_appointment(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let practice = Practice::open(&mesh).await;
    let session = practice.session(10).await;
    let (client, appointment) = practice.booked(&session, 10).await;
    let available = json!({"status": "AVAILABLE"});
    let path = format!("/sessions/{session}");
    mesh.ask(Method::PUT, &path, Some(&practice.therapist), Some(available)).await.expect(200);
    practice.must_be(&session, "AVAILABLE", "").await;
    assert_eq!(practice.status(&appointment).await, "REVOKED");
    practice.ask(&client, &session, 10).await.expect(201);
    mesh.stop().await;
}

async fn session_created_for_client_is_booked(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let practice = Practice::open(&mesh).await;
    let (client, _) = practice.booked(&practice.session(10).await, 10).await;
    let mut session = slot(11);
    session["clientId"] = json!(client.id);
    let booked = practice.offer(session).await.expect(201);
    let own = mesh.get("/appointments?status=ACCEPTED", &client).await.expect(200);
    let made = own.as_array().unwrap().iter().find(|it| it["sessionId"] == booked["sessionId"]).unwrap();
    assert_eq!(made["appointmentDate"], at(11));
    let appointment = id(made, "appointmentId");
    practice.change(&client, &appointment, "REVOKED").await.expect(200);
    practice.must_be(&id(&booked, "sessionId"), "AVAILABLE", "").await;
    mesh.stop().await;
}

async fn request_expires_when_session_begins(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let mut practice = Practice::open(&mesh).await;
    let client = mesh.client("Asha").await;
    let session = practice.session(10).await;
    let asked = id(&practice.ask(&client, &session, 10).await.expect(201), "appointmentId");
    mesh.pass(Duration::from_secs(29 * 3600));
    let client = mesh.login(&client.email, PASSWORD).await;
    practice.therapist = mesh.login(&practice.therapist.email, PASSWORD).await;
    assert_eq!(practice.status(&asked).await, "EXPIRED");
    let expired = mesh.get("/appointments?status=EXPIRED", &client).await.expect(200);
    assert_eq!(expired[0]["appointmentId"], asked);
    assert_eq!(mesh.get("/appointments?status=PENDING", &client).await.expect(200), json!([]));
    practice.accept(&asked).await.refused(400, "APPOINTMENT_EXPIRED");
    mesh.ask(Method::DELETE, &format!("/appointments/{asked}"), Some(&client), None).await.refused(400, "NOT_PENDING");
    practice.ask(&client, &session, 10).await.refused(400, "SESSION_OVER");
    mesh.stop().await;
}

async fn pending_request_can_be_withdrawn(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let practice = Practice::open(&mesh).await;
    let (client, session) = (mesh.client("Asha").await, practice.session(10).await);
    let asked = id(&practice.ask(&client, &session, 10).await.expect(201), "appointmentId");
    let path = format!("/appointments/{asked}");
    assert_eq!(mesh.ask(Method::DELETE, &path, Some(&client), None).await.expect(200), json!({}));
    mesh.get(&path, &client).await.refused(404, "NOT_FOUND");
    mesh.ask(Method::DELETE, &path, Some(&client), None).await.refused(404, "NOT_FOUND");
    practice.accept(&asked).await.refused(404, "NOT_FOUND");
    let again = id(&practice.ask(&client, &session, 10).await.expect(201), "appointmentId");
    practice.accept(&again).await.expect(200);
    let path = format!("/appointments/{again}");
    mesh.ask(Method::DELETE, &path, Some(&client), None).await.refused(400, "NOT_PENDING");
    mesh.stop().await;
}

async fn pages_of_any_size_list_all(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let practice = Practice::open(&mesh).await;
    let session = practice.session(10).await;
    let mut all = Vec::new();
    for _ in 0..7 {
        mesh.pass(Duration::from_millis(1));
        let client = mesh.client("Asha").await;
        all.push(practice.ask(&client, &session, 10).await.expect(201));
    }
    all.reverse();
    for size in [1, 3, 7, 8] {
        let (mut seen, mut token) = (Vec::new(), None::<String>);
        loop {
            let token_of = token.map(|token| format!("&pageToken={token}")).unwrap_or_default();
            let page = mesh.get(&format!("/appointments?pageSize={size}{token_of}"), &practice.therapist).await;
            token = page.headers.get("x-next-page-token").map(|token| token.to_str().unwrap().to_owned());
            seen.extend(page.expect(200).as_array().unwrap().clone());
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen, all, "{size}");
    }
    let of_one = format!("/appointments?clientId={}", id(&all[2], "clientId"));
    assert_eq!(mesh.get(&of_one, &practice.therapist).await.expect(200), json!([all[2]]));
    mesh.stop().await;
}

async fn repeated_post_with_key_returns_same_appointment(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let practice = Practice::open(&mesh).await;
    let (client, session) = (mesh.client("Asha").await, practice.session(10).await);
    let post = async |key: &str, body: Value| {
        let request = mesh.request(Method::POST, "/appointments").bearer_auth(&client.token);
        answer(request.header("idempotency-key", key).json(&body)).await
    };
    let body = practice.request(&session, 10);
    let asked = post("one", body.clone()).await.expect(201);
    assert_eq!(post("one", body.clone()).await.expect(201), asked);
    post("one", practice.request(&session, 11)).await.refused(409, "IDEMPOTENCY_KEY_REUSED");
    post("two", body.clone()).await.refused(409, "REQUEST_PENDING");
    practice.accept(&id(&asked, "appointmentId")).await.expect(200);
    assert_eq!(post("one", body).await.expect(201)["status"], "ACCEPTED", "as it is now");
    mesh.stop().await;
}

async fn account_deletion_ends_appointments(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let practice = Practice::open(&mesh).await;
    let (one, other) = (practice.session(10).await, practice.session(11).await);
    let (gone, appointment) = practice.booked(&one, 10).await;
    let (stays, kept) = practice.booked(&other, 11).await;
    let waits = id(&practice.ask(&gone, &practice.session(12).await, 12).await.expect(201), "appointmentId");
    mesh.ask(Method::DELETE, &format!("/clients/{}", gone.id), Some(&gone), None).await.expect(204);
    for ended in [&appointment, &waits] {
        mesh.get(&format!("/appointments/{ended}"), &practice.therapist).await.refused(404, "NOT_FOUND");
    }
    practice.must_be(&one, "AVAILABLE", "").await;
    practice.ask(&gone, &one, 10).await.refused(401, "ACCOUNT_ENDED");
    practice.must_be(&other, "BOOKED", &stays.id).await;

    let path = format!("/therapists/{}", practice.therapist.id);
    mesh.ask(Method::DELETE, &path, Some(&practice.therapist), None).await.expect(204);
    let left = mesh.get(&format!("/appointments/{kept}"), &stays).await.expect(200);
    assert_eq!(left["status"], "REVOKED");
    practice.ask(&stays, &one, 10).await.refused(404, "NOT_FOUND");
    mesh.stop().await;
}

//! Contract §2, row DELETE /mapping/{clientId}, and rules 5 and 13: the end of a relation, and new requests after it.

use kit::mesh::{Answer, Someone, TestMesh};
use kit::test_env::TestEnv;
use reqwest::Method;
use serde_json::{Value, json};

use super::{DAY, Two, states};

kit::on_each_env!(
    end_by_client_closes_relation_by_message,
    end_by_client_withdraws_pending_and_keeps_accepted,
    end_by_client_rejects_request_and_closes_relation,
    ended_relation_reopens_by_message_request_or_mapping,
    rejected_request_pauses_7_days_and_stops_after_three,
);

impl Two<'_> {
    async fn send(&self, from: &Someone, to: &Someone) -> Answer {
        let body = json!({"receiverId": to.id, "message": "a word"});
        self.mesh.ask(Method::POST, "/messages", Some(from), Some(body)).await
    }

    async fn write(&self) -> Answer {
        self.send(&self.client, &self.therapist).await
    }

    /// Adds a session of the therapist on this day of January.
    async fn offer(&self, day: u32, for_client: bool) -> Answer {
        let mut session = json!({"sessionDate": format!("2100-01-{day:02}T09:00:00Z"), "endTime": "10:00"});
        if for_client {
            session["clientId"] = self.client.id.as_str().into();
        }
        self.therapist(Method::POST, "/sessions", session).await
    }

    async fn ask_for_session(&self, day: u32) -> Value {
        let session = self.offer(day, false).await.expect(201);
        let wish = json!({"therapistId": self.therapist.id, "sessionId": session["sessionId"],
            "appointmentDate": session["sessionDate"]});
        self.client(Method::POST, "/appointments", wish).await.expect(201)
    }

    async fn accept(&self, appointment: &Value) -> Answer {
        self.therapist(Method::PUT, &format!("{}/status", path(appointment)), json!({"status": "ACCEPTED"})).await
    }

    /// Asserts that the therapist can neither write nor ask: the answers equal those about an id of nobody.
    async fn assert_closed(&self) {
        let nobody = Someone { id: super::NOBODY.to_owned(), ..self.client.clone() };
        let unknown = self.send(&self.therapist, &nobody).await;
        let refused = self.send(&self.therapist, &self.client).await;
        refused.refused(404, "NOT_FOUND");
        assert_eq!((refused.status, &refused.body), (unknown.status, &unknown.body));
        for what in ["MAPPING", "JOURNAL_ACCESS"] {
            let body = json!({"requestType": what});
            let unknown = self.therapist(Method::POST, &format!("/mapping/{}/request", nobody.id), body).await;
            let refused = self.request(what).await;
            refused.refused(404, "NOT_FOUND");
            assert_eq!((refused.status, &refused.body), (unknown.status, &unknown.body));
        }
        self.offer(31, true).await.refused(404, "NOT_FOUND");
        assert_eq!(self.mesh.get("/clients", &self.therapist).await.expect(200), json!([]));
    }

    async fn history(&self, who: &Someone) -> usize {
        let path = format!("/messages/history?senderId={}&receiverId={}", self.client.id, self.therapist.id);
        self.mesh.get(&path, who).await.expect(200).as_array().unwrap().len()
    }
}

fn path(appointment: &Value) -> String {
    format!("/appointments/{}", appointment["appointmentId"].as_str().unwrap())
}

async fn end_by_client_closes_relation_by_message(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let two = Two::join(&mesh).await;
    two.write().await.expect(201);
    two.send(&two.therapist, &two.client).await.expect(201);
    for _ in 0..2 {
        states(&two.end(&two.client).await.expect(200), "ENDED", "NONE");
        two.assert_closed().await;
    }
    // Both can still read the messages, and list each other as former relations.
    for who in [&two.client, &two.therapist] {
        assert_eq!(two.history(who).await, 2);
    }
    let (by_client, by_therapist) = two.seen().await;
    states(&by_client, "ENDED", "NONE");
    states(&by_therapist, "ENDED", "NONE");
    assert_eq!(by_therapist["clientName"], "Asha");
    mesh.stop().await;
}

async fn end_by_client_withdraws_pending_and_keeps_accepted(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let two = Two::join(&mesh).await;
    two.map().await.expect(201);
    two.grant().await.expect(200);
    let (accepted, waiting) = (two.ask_for_session(2).await, two.ask_for_session(3).await);
    two.accept(&accepted).await.expect(200);
    states(&two.end(&two.client).await.expect(200), "ENDED", "REVOKED");
    for who in [&two.client, &two.therapist] {
        mesh.get(&path(&waiting), who).await.refused(404, "NOT_FOUND");
        assert_eq!(mesh.get(&path(&accepted), who).await.expect(200)["status"], "ACCEPTED");
    }
    two.accept(&waiting).await.refused(404, "NOT_FOUND");
    // An accepted appointment doesn't lift the block.
    two.assert_closed().await;
    mesh.stop().await;
}

async fn end_by_client_rejects_request_and_closes_relation(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let two = Two::join(&mesh).await;
    two.request("MAPPING").await.expect(201);
    for _ in 0..2 {
        states(&two.end(&two.client).await.expect(200), "REJECTED", "NONE");
        two.assert_closed().await;
    }
    assert_eq!(two.requests().await, json!([]));
    mesh.stop().await;
}

async fn ended_relation_reopens_by_message_request_or_mapping(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let two = Two::join(&mesh).await;
    two.write().await.expect(201);
    for (day, opens) in [(2, "writes"), (3, "asks"), (4, "maps")] {
        two.end(&two.client).await.expect(200);
        two.assert_closed().await;
        match opens {
            "writes" => drop(two.write().await.expect(201)),
            "asks" => drop(two.ask_for_session(day).await),
            _ => drop(two.map().await.expect(201)),
        }
        two.send(&two.therapist, &two.client).await.expect(201);
        two.offer(day + 10, true).await.expect(201);
        if opens == "maps" {
            two.end(&two.therapist).await.expect(200);
        }
        two.request("MAPPING").await.expect(201);
    }
    mesh.stop().await;
}

async fn rejected_request_pauses_7_days_and_stops_after_three(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let mut two = Two::join(&mesh).await;
    for _ in 0..3 {
        two.request("MAPPING").await.expect(201);
        two.reply("REJECTED").await.expect(200);
        assert_eq!(two.request("MAPPING").await.status, 400);
        mesh.pass(DAY * 7);
        two.log_in().await;
    }
    two.request("MAPPING").await.refused(400, "REJECTED_TOO_OFTEN");
    two.write().await.expect(201);
    two.request("MAPPING").await.expect(201);
    two.reply("REJECTED").await.expect(200);
    let refused = two.request("MAPPING").await;
    refused.refused(400, "ASK_AGAIN_LATER");
    assert_eq!(refused.retry_after(), Some(7.0 * 24.0 * 3600.0));
    assert!(refused.body["message"].as_str().unwrap().contains("2100-01-29T00:00:00Z"), "{}", refused.body);
    mesh.stop().await;
}

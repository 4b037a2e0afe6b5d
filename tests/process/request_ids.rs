//! Ids of requests and traces in the log, without a collector of telemetry.

use std::collections::BTreeSet;
use std::fs::{self, File};

use kit::mesh::answer;
use reqwest::Method;
use reqwest::header::HeaderValue;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::process::Process;

/// The caller's id of the request that the test follows.
const FOLLOWED: &str = "ticket.4711_a-B";

/// The text that a malformed id would add to the log.
const INJECTED: &str = "injected";

/// A therapist's read of a journal passes the front and four services.
#[tokio::test]
async fn every_hop_logs_the_request_id_of_the_caller_and_one_trace() {
    let data = tempfile::tempdir().unwrap();
    let log = data.path().join("log");
    let settings = [("MESH_LOG", "info,chassis=debug"), ("MESH_LOG_FORMAT", "json")];
    let mesh = Process::start_logging(data.path(), &settings, File::create(&log).unwrap());
    let client = mesh.join("asha@example.org", "CLIENT").await;
    let therapist = mesh.join("noor@example.org", "THERAPIST").await;
    let journal = format!("/journal/{}", client.id);
    for (path, who) in [("/clients", &client), ("/therapists", &therapist)] {
        let profile = json!({"name": "Asha", "email": who.email, "specialty": "Grief", "pincode": "110001"});
        mesh.ask(Method::POST, path, Some(&who.token), Some(profile)).await.expect(201);
    }
    let ask = async |method, path: &str, body: Value, status| {
        mesh.ask(method, path, Some(&client.token), Some(body)).await.expect(status);
    };
    ask(Method::POST, &format!("/mapping/{}", client.id), json!({"therapistId": therapist.id}), 201).await;
    let access = format!("{journal}/access?therapistId={}", therapist.id);
    ask(Method::PUT, &access, json!({"access": "ACCEPTED"}), 200).await;
    let entry = json!({"emotion": "calm", "intensity": 1, "timestamp": "2026-01-05T16:00:00Z"});
    ask(Method::POST, &journal, entry, 201).await;

    let read = |id: &[u8]| {
        let request = mesh.request(Method::GET, &journal).bearer_auth(&therapist.token);
        answer(request.header("x-request-id", HeaderValue::from_bytes(id).unwrap()))
    };
    let shown = read(FOLLOWED.as_bytes()).await;
    assert_eq!((shown.status, &shown.headers["x-request-id"]), (200, &HeaderValue::from_static(FOLLOWED)));
    let refused = answer(mesh.request(Method::GET, &journal).header("x-request-id", "ticket-2")).await;
    assert_eq!(refused.refused(401, "TOKEN_MISSING")["details"][1]["requestId"], "ticket-2");
    for bad in [format!("\",\"{INJECTED}\":\""), format!("x\t{INJECTED}"), format!("{INJECTED}\u{e9}")] {
        let replaced = read(bad.as_bytes()).await;
        assert_eq!((replaced.status, replaced.headers["x-request-id"].len()), (200, 36));
    }
    assert!(mesh.stop(Signal::TERM).0.success());

    let log = fs::read_to_string(&log).unwrap();
    assert!(!log.contains(INJECTED), "{log}");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let of_request = |id: &str| lines.iter().filter(|line| line["request_id"] == id).collect::<Vec<_>>();
    let of = |id: &str, field: &str| -> BTreeSet<String> {
        of_request(id).iter().filter_map(|line| line[field].as_str().map(str::to_owned)).collect()
    };
    let hops: BTreeSet<_> =
        of(FOLLOWED, "method").iter().map(|rpc| rpc.split('.').nth(1).unwrap_or(rpc).to_owned()).collect();
    assert_eq!(hops.iter().map(String::as_str).collect::<Vec<_>>(), ["GET", "audit", "journals", "mapping"], "{log}");
    let traces = of(FOLLOWED, "trace_id");
    assert!(traces.len() == 1 && traces.iter().all(|trace| trace.len() == 32), "{traces:?}");
    assert!(of_request(FOLLOWED).iter().all(|line| line["trace_id"].is_string()));
    // The line of a refusal has it too.
    assert_eq!(of("ticket-2", "reason").into_iter().collect::<Vec<_>>(), ["TOKEN_MISSING"]);
    let access = lines.iter().filter(|line| line["target"] == "access");
    assert!(access.clone().count() > 10 && access.clone().all(|line| line["request_id"].is_string()), "{log}");
}

//! Rule 15 when the access log can't be written: an unrecorded read shows nothing.

use kit::engine::Engine;
use kit::fault::{Mode, Proxy};
use kit::mesh::{Answer, TestMesh};
use serde_json::Value;

use crate::search::hits::{finds, search};
use crate::steps::{Pair, entry};

kit::on_each_engine!(unrecorded_read_shows_nothing);

async fn unrecorded_read_shows_nothing(engine: Engine) {
    let proxy = Proxy::start(&engine.endpoint().await);
    let mut audit = String::new();
    let mesh = TestMesh::start_with(engine, |config| {
        config.dynamodb.endpoint = Some(proxy.endpoint());
        audit = format!("{}Audit", config.dynamodb.table_prefix);
    });
    let mesh = mesh.await;
    let pair = Pair::with_access(&mesh).await;
    let made = pair.write(&mesh, entry(&mesh, "calm", "a note")).await.expect(201);
    let id = made["entryId"].as_str().unwrap();
    finds(&mesh, &pair.client, &search("note"), 1).await;
    let reads = ["", &*format!("/entries/{id}"), "/insights"].map(|rest| pair.journal(rest));
    let reads: Vec<_> = reads.into_iter().chain([search("note")]).collect();
    let log = async || {
        let log = mesh.get(&format!("/clients/{}/access-log", pair.client.id), &pair.client).await;
        // The order within a millisecond is unspecified, so equal reads may be grouped.
        log.expect(200).as_array().unwrap().iter().filter_map(|line| line["count"].as_u64()).sum::<u64>()
    };
    for path in &reads {
        mesh.get(path, &pair.therapist).await.expect(200);
    }
    assert_eq!(log().await, 4);

    proxy.only(move |call| call.operation == "PutItem" && call.names(&audit));
    for mode in [Mode::Throttle, Mode::LoseAnswer] {
        proxy.set(mode).await;
        for path in &reads {
            shows_nothing(&mesh.get(path, &pair.therapist).await, id);
            // The client's own reads need no record.
            mesh.get(path, &pair.client).await.expect(200);
        }
    }
    proxy.set(Mode::Pass).await;
    // The log may have too many accesses, but never too few.
    let before = log().await;
    assert!(before >= 4, "{before}");
    for path in &reads {
        mesh.get(path, &pair.therapist).await.expect(200);
    }
    assert_eq!(log().await, before + 4);
    mesh.stop().await;
}

#[track_caller]
fn shows_nothing(answer: &Answer, id: &str) {
    assert!(matches!(answer.status, 503 | 504), "{}: {}", answer.status, answer.body);
    let Value::Object(_) = &answer.body else { panic!("{}", answer.body) };
    let body = answer.body.to_string();
    assert!(!body.contains(id) && !body.contains("calm") && !body.contains("note"), "{body}");
}

//! Rule 15: each client whose entries a therapist's search shows has it in the access log.

use std::time::Duration;

use kit::mesh::{Someone, TestMesh};
use kit::test_env::TestEnv;
use serde_json::{Value, json};

use super::{finds, grant, map, next, search, session, therapist, with, write};

kit::on_each_env!(search_is_logged_for_each_client_whose_entries_it_shows);

/// Returns what the log of a client tells, newest first.
async fn told(mesh: &TestMesh, client: &Someone) -> Vec<Value> {
    let log = mesh.get(&format!("/clients/{}/access-log", client.id), client).await.expect(200);
    let line = |it: &Value| {
        let fields = ["action", "entryCount", "count", "entryId", "therapistId", "therapistName", "grantId", "time"];
        Value::from_iter(fields.map(|field| (field, it[field].clone())))
    };
    log.as_array().unwrap().iter().map(line).collect()
}

async fn search_is_logged_for_each_client_whose_entries_it_shows(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let noor = therapist(&mesh).await;
    let mut clients = Vec::new();
    for name in ["Asha", "Ben", "Tara River"] {
        let client = mesh.client(name).await;
        map(&mesh, &client, &noor).await;
        let grant = grant(&mesh, &client, &noor, &json!({})).await;
        clients.push((client, grant["grantId"].clone()));
    }
    let [(asha, of_asha), (ben, of_ben), (tara, _)] = &clients[..] else { panic!("three clients") };
    let at = |hour: u32| json!({"timestamp": format!("2099-12-31T{hour:02}:00:00Z")});
    let first = write(&mesh, asha, "a river", &at(1)).await;
    let second = write(&mesh, asha, "the river", &at(2)).await;
    let private = with(at(3), &json!({"visibility": "PRIVATE"}));
    let private = write(&mesh, asha, "river", &private).await;
    let third = write(&mesh, ben, "a wide river", &at(4)).await;
    let notes = session(&mesh, &noor, 1, &json!({"sharedNotes": "swim in the river", "clientId": tara.id})).await;
    finds(&mesh, asha, &search("river"), &[&private, &second, &first]).await;
    finds(&mesh, ben, &search("river"), &[&third]).await;
    finds(&mesh, tara, &search("river"), &[&notes]).await;
    for (client, _) in &clients {
        assert_eq!(told(&mesh, client).await, [json!(null); 0], "what clients find themselves is not logged");
    }
    // Equal neighbours within a minute are shown as one, with the time of the last.
    let line = |grant: &Value, entries: u32, count: u32, second: u32| {
        json!({
            "action": "SEARCH", "entryCount": entries, "count": count, "entryId": "", "therapistId": noor.id,
            "therapistName": "Noor", "grantId": grant, "time": format!("2100-01-01T00:00:{second:02}Z"),
        })
    };
    let look = async |path: &str| {
        mesh.pass(Duration::from_secs(1));
        mesh.get(path, &noor).await
    };
    // The newest are the notes and the name, of which nothing is logged.
    let all = look(&format!("{}&from=2099-01-01T00:00:00Z", search("river"))).await.expect(200);
    assert_eq!(super::ids(&all), [&*notes, &tara.id, &third, &second, &first]);
    assert_eq!(told(&mesh, asha).await, [line(of_asha, 2, 1, 1)]);
    assert_eq!(told(&mesh, ben).await, [line(of_ben, 1, 1, 1)]);
    assert_eq!(told(&mesh, tara).await, [json!(null); 0]);

    // Each page is a read of its own.
    let path = format!("{}&in=JOURNAL&pageSize=2", search("river"));
    let page = look(&path).await;
    let going_on = format!("{path}&pageToken={}", next(&page).unwrap());
    assert_eq!(super::ids(&page.expect(200)), [&third, &second]);
    assert_eq!(super::ids(&look(&going_on).await.expect(200)), [&first]);
    let now = told(&mesh, asha).await;
    assert_eq!(now, [line(of_asha, 1, 2, 3), line(of_asha, 2, 1, 1)]);
    assert_eq!(told(&mesh, ben).await, [line(of_ben, 1, 2, 2)]);

    // What finds no entry of a client is not in that client's log.
    for path in [format!("{}&in=NOTES,CLIENTS", search("river")), search("mountain"), search("river wide")] {
        look(&path).await.expect(200);
    }
    look("/search?q=").await.refused(400, "INVALID_FIELDS");
    assert_eq!(told(&mesh, asha).await, now);
    assert_eq!(told(&mesh, ben).await, [line(of_ben, 1, 3, 6)]);
    assert_eq!(told(&mesh, tara).await, [json!(null); 0]);

    // An entry that was opened and doesn't match is logged too: that it doesn't tells something of it.
    let path = "/search?q=%22river+wide%22";
    assert_eq!(look(path).await.expect(200), json!([]));
    assert_eq!(told(&mesh, ben).await, [line(of_ben, 0, 1, 8), line(of_ben, 1, 3, 6)]);
    assert_eq!(told(&mesh, asha).await, now);
    mesh.stop().await;
}

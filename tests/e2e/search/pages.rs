//! Filters, order, pages and snippets of a search, over REST and gRPC.

use kit::mesh::{Someone, TestMesh};
use kit::test_env::TestEnv;
use proto::search::v1 as pb;
use proto::search::v1::search_service_client::SearchServiceClient;
use serde_json::json;
use tonic::{Code, Request};

use super::{NOBODY, finds, ids, next, pair, search, session, shown, with, write};
use crate::internal::channel;

kit::on_each_env!(
    filters_select_kinds_and_times,
    pages_of_any_size_list_each_hit_once,
    page_token_is_bound_to_caller_and_query,
    snippet_is_plain_text_around_matches,
    grpc_answers_like_rest,
);

/// Makes texts of all kinds with the word `basalt`, and returns their ids, newest first.
async fn fill(mesh: &TestMesh, asha: &Someone, noor: &Someone) -> Vec<String> {
    let mut made = Vec::new();
    for hour in 1..=5 {
        let at = json!({"timestamp": format!("2099-12-31T{hour:02}:00:00Z")});
        made.insert(0, write(mesh, asha, "basalt", &at).await);
        write(mesh, asha, "granite", &at).await;
    }
    // Of one millisecond.
    for _ in 0..2 {
        made.insert(0, write(mesh, asha, "grey basalt", &json!({"timestamp": "2099-12-31T06:00:00Z"})).await);
    }
    for day in 1..=2 {
        let notes = json!({"sharedNotes": "basalt", "clientId": asha.id});
        made.insert(0, session(mesh, noor, day, &notes).await);
    }
    let own = json!({"privateNotes": "basalt"});
    made.insert(0, session(mesh, noor, 3, &own).await);
    made
}

/// Waits until a therapist finds all texts. Returns their ids in the order in which they are found.
async fn found(mesh: &TestMesh, noor: &Someone, made: &[String]) -> Vec<String> {
    let all = async || ids(&mesh.get(&search("basalt"), noor).await.expect(200)).len() == made.len();
    kit::wait::until("all is found", all).await;
    let found = mesh.get(&search("basalt"), noor).await.expect(200);
    let times: Vec<_> = found.as_array().unwrap().iter().map(|hit| hit["timestamp"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|one, next| one >= next), "{times:?}");
    let found: Vec<_> = ids(&found).into_iter().map(str::to_owned).collect();
    // The order within a millisecond is unspecified, and stays.
    let sorted = |ids: &[String]| {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids
    };
    assert_eq!(sorted(&found), sorted(made));
    found
}

/// Returns the ids of each page.
async fn pages(mesh: &TestMesh, who: &Someone, path: &str, size: usize) -> Vec<Vec<String>> {
    let (mut pages, mut token) = (Vec::new(), String::new());
    loop {
        let page = mesh.get(&format!("{path}&pageSize={size}&pageToken={token}"), who).await;
        let next = next(&page);
        pages.push(ids(&page.expect(200)).into_iter().map(str::to_owned).collect());
        match next {
            Some(next) => token = next,
            None => return pages,
        }
    }
}

async fn filters_select_kinds_and_times(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = pair(&mesh).await;
    let ids_of = async |more: &str, who: &Someone| {
        let hits = mesh.get(&format!("{}{more}", search("quartz")), who).await.expect(200);
        ids(&hits).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let entry = write(&mesh, &asha, "quartz", &json!({"timestamp": "2099-12-31T06:00:00.007Z"})).await;
    let notes = session(&mesh, &noor, 1, &json!({"sharedNotes": "quartz", "clientId": asha.id})).await;
    for who in [&asha, &noor] {
        finds(&mesh, who, &search("quartz"), &[&notes, &entry]).await;
        for (kinds, expected) in [
            ("JOURNAL", &[&entry][..]),
            ("NOTES", &[&notes]),
            ("JOURNAL,NOTES", &[&notes, &entry]),
            ("NOTES,JOURNAL,NOTES", &[&notes, &entry]),
            ("NOTES%2C%20JOURNAL", &[&notes, &entry]),
            ("NOTES&in=JOURNAL", &[&notes, &entry]),
            ("NOTES&in=NOTES,JOURNAL", &[&notes, &entry]),
            ("", &[&notes, &entry]),
        ] {
            assert_eq!(
                ids_of(&format!("&in={kinds}"), who).await,
                expected.iter().copied().cloned().collect::<Vec<_>>()
            );
        }
        for (times, expected) in [
            ("&from=2099-12-31T06:00:00.007Z", &[&notes, &entry][..]),
            ("&from=2099-12-31T06:00:00.008Z", &[&notes]),
            ("&to=2099-12-31T06:00:00.007Z", &[]),
            ("&to=2099-12-31T06:00:00.008Z", &[&entry]),
            ("&from=2099-12-31T11:30:00.007%2B05:30&to=2100-02-01T09:00:00Z", &[&entry]),
            ("&from=2100-01-01T00:00:00Z&to=2100-02-01T09:00:00.001Z", &[&notes]),
            ("&in=JOURNAL&from=2100-01-01T00:00:00Z", &[]),
        ] {
            assert_eq!(ids_of(times, who).await, expected.iter().copied().cloned().collect::<Vec<_>>(), "{times}");
        }
        let both = format!("&clientId={}&in=NOTES", asha.id);
        assert_eq!(ids_of(&both, who).await.concat(), notes);
    }
    mesh.stop().await;
}

async fn pages_of_any_size_list_each_hit_once(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = pair(&mesh).await;
    let made = fill(&mesh, &asha, &noor).await;
    let all = found(&mesh, &noor, &made).await;
    for size in [1, 3, 7, 10, 200] {
        let seen = pages(&mesh, &noor, &search("basalt"), size).await;
        assert!(seen.iter().all(|page| page.len() <= size), "{size}: {seen:?}");
        assert_eq!(seen.concat(), all, "{size}");
    }
    let own = pages(&mesh, &asha, &search("basalt"), 2).await.concat();
    assert_eq!(own, all[1..], "all but the therapist's own");
    let entries = pages(&mesh, &noor, &format!("{}&in=JOURNAL", search("grey basalt")), 1).await.concat();
    assert_eq!(entries, all[3..5]);
    mesh.stop().await;
}

async fn page_token_is_bound_to_caller_and_query(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = pair(&mesh).await;
    let made = fill(&mesh, &asha, &noor).await;
    let all = found(&mesh, &noor, &made).await;
    let (_, other) = pair(&mesh).await;
    let first = mesh.get(&format!("{}&pageSize=2", search("basalt")), &noor).await;
    let token = next(&first).unwrap();
    let going_on = |path: &str| format!("{path}&pageSize=2&pageToken={token}");
    let page = mesh.get(&going_on(&search("basalt")), &noor).await.expect(200);
    assert_eq!(ids(&page), all[2..4]);
    // The size of a page may change on the way.
    let page = mesh.get(&format!("{}&pageToken={token}", search("basalt")), &noor).await.expect(200);
    assert_eq!(ids(&page), all[2..]);
    let mut tampered = token.clone().into_bytes();
    tampered[10] = if tampered[10] == b'A' { b'B' } else { b'A' };
    let tampered = String::from_utf8(tampered).unwrap();
    let base = search("basalt");
    for (what, who, path) in [
        ("foreign", &other, going_on(&base)),
        ("foreign", &asha, going_on(&base)),
        ("of another query", &noor, going_on(&search("granite"))),
        ("of a longer query", &noor, going_on(&search("basalt grey"))),
        ("of other kinds", &noor, going_on(&format!("{base}&in=JOURNAL"))),
        ("of another client", &noor, going_on(&format!("{base}&clientId={}", asha.id))),
        ("of nobody", &noor, going_on(&format!("{base}&clientId={NOBODY}"))),
        ("of other times", &noor, going_on(&format!("{base}&from=2000-01-01T00:00:00Z"))),
        ("of other times", &noor, going_on(&format!("{base}&to=2100-03-01T00:00:00Z"))),
        ("tampered", &noor, format!("{base}&pageToken={tampered}")),
        ("cut", &noor, format!("{base}&pageToken={}", &token[..token.len() - 1])),
        ("none", &noor, format!("{base}&pageToken=x")),
        ("of a journal", &noor, {
            let page = mesh.get(&format!("/journal/{}?pageSize=1", asha.id), &noor).await;
            format!("{base}&pageToken={}", next(&page).unwrap())
        }),
    ] {
        let refused = mesh.get(&path, who).await;
        refused.refused(400, "INVALID_FIELDS");
        assert_eq!(refused.bad_fields(), ["pageToken"], "a token {what}");
    }
    mesh.stop().await;
}

async fn snippet_is_plain_text_around_matches(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let asha = mesh.client("Asha").await;
    let long = format!("{}🌋 opal ore{}", "some words ".repeat(100), " more words".repeat(100));
    for (note, query, expected) in [
        ("<b>zinc</b> & \"zinc\"", "zinc", "calm <b>[zinc]</b> & \"[zinc]\""),
        ("👩\u{200d}⚕️ e\u{301}toile 👍🏽", "etoile 👍", "calm 👩\u{200d}⚕️ [e\u{301}toile] [👍🏽]"),
        ("one\ntwo\ttin", "tin", "calm one two [tin]"),
        ("Running, I ran. RUNS!", "run", "calm [Running], I ran. [RUNS]!"),
        ("a panic attack", "\"panic attack\" calm", "[calm] a [panic attack]"),
        ("copper-ore mines", "copp* mine", "calm [copper]-ore [mines]"),
    ] {
        let entry = write(&mesh, &asha, note, &json!({})).await;
        finds(&mesh, &asha, &search(query), &[&entry]).await;
        let hits = mesh.get(&search(query), &asha).await.expect(200);
        assert_eq!(shown(&hits[0]), expected, "{query}");
    }
    let entry = write(&mesh, &asha, &long, &json!({})).await;
    finds(&mesh, &asha, &search("opal"), &[&entry]).await;
    let hits = mesh.get(&search("opal"), &asha).await.expect(200);
    let snippet = hits[0]["snippet"].as_str().unwrap();
    assert!((150..=200).contains(&snippet.chars().count()), "{snippet}");
    assert!(long.contains(snippet), "{snippet}");
    assert!(shown(&hits[0]).contains("some words 🌋 [opal] ore more words"), "{hits}");
    mesh.stop().await;
}

async fn grpc_answers_like_rest(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = pair(&mesh).await;
    let entry = write(&mesh, &asha, "a slab of slate", &json!({})).await;
    let notes = session(&mesh, &noor, 1, &json!({"sharedNotes": "write on slate", "clientId": asha.id})).await;
    finds(&mesh, &noor, &search("slate"), &[&notes, &entry]).await;
    let mut client = SearchServiceClient::new(channel(&mesh.url).await);
    let mut ask = async |who: &Someone, request: pb::SearchRequest| {
        let mut request = Request::new(request);
        request.metadata_mut().insert("authorization", format!("Bearer {}", who.token).parse().unwrap());
        client.search(request).await
    };
    let query = || pb::SearchRequest { q: "slate".to_owned(), page_size: 1, ..Default::default() };
    let first = ask(&noor, query()).await.unwrap().into_inner();
    let rest = pb::SearchRequest { page_token: first.next_page_token, ..query() };
    let second = ask(&noor, rest).await.unwrap().into_inner();
    let told = |hit: &pb::Hit| {
        let matches: Vec<_> = hit.matches.iter().map(|it| json!({"start": it.start, "end": it.end})).collect();
        let kind = if hit.kind() == pb::hit::Kind::Journal { "JOURNAL" } else { "NOTES" };
        json!({
            "kind": kind, "id": hit.id, "clientId": hit.client_id, "therapistId": hit.therapist_id,
            "snippet": hit.snippet, "matches": matches,
        })
    };
    let by_rest = mesh.get(&search("slate"), &noor).await.expect(200);
    for (hit, by_rest) in first.hits.iter().chain(&second.hits).zip(by_rest.as_array().unwrap()) {
        assert_eq!(with(by_rest.clone(), &told(hit)), *by_rest);
    }
    assert_eq!((first.hits.len(), second.hits.len()), (1, 1));
    let kinds = ["NOTES,JOURNAL", "JOURNAL"].map(str::to_owned).to_vec();
    let by_kinds = pb::SearchRequest { r#in: kinds, page_size: 0, ..query() };
    assert_eq!(ask(&noor, by_kinds).await.unwrap().into_inner().hits.len(), 2);
    let clients = pb::SearchRequest { r#in: vec!["CLIENTS".to_owned()], ..query() };
    assert_eq!(ask(&asha, clients).await.unwrap_err().code(), Code::PermissionDenied);
    for q in ["\0".to_owned(), "slate\0".to_owned(), "a".repeat(10_000), "word ".repeat(500)] {
        let bad = pb::SearchRequest { q, ..query() };
        assert_eq!(ask(&noor, bad).await.unwrap_err().code(), Code::InvalidArgument);
    }
    mesh.stop().await;
}

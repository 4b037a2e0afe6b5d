//! Rule 6 and similar ones under concurrency: an acknowledged change holds for every request that starts after it.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use kernel::Clock as _;
use kit::engine::Engine;
use kit::mesh::{Answer, Someone, TestMesh};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::steps::{Pair, entry};

kit::on_each_engine!(
    acknowledged_revocation_hides_journal,
    narrowed_grant_hides_earlier_entries,
    private_entry_is_hidden_from_later_reads,
    concurrent_opposite_answers_apply_one,
    concurrent_withdrawal_and_acceptance_end_mapping,
    concurrent_grant_and_rejection_end_granted,
    parallel_posts_with_key_add_one_entry,
    parallel_refreshes_get_one_successor,
    concurrent_account_deletions_are_not_refused,
);

/// Number of rounds of each race for a change.
const ROUNDS: usize = 8;
/// Number of parallel readers for a change: three of each path.
const READERS: usize = 12;
const SOAK_ROUNDS: usize = 1_000;
const SOAK_READERS: usize = 32;
/// Number of reads by each reader after the acknowledgement.
const READS_AFTER: usize = 2;

/// Requests that revoke a therapist's access to a journal.
pub(crate) const REVOCATIONS: [Revocation; 4] =
    [Revocation::EndAccess, Revocation::Revoke, Revocation::EndMapping, Revocation::EndMappingByTherapist];

#[derive(Debug, Clone, Copy)]
pub(crate) enum Revocation {
    /// DELETE /mapping/{clientId}/access
    EndAccess,
    /// PUT /journal/{clientId}/access {access: REVOKED}
    Revoke,
    /// DELETE /mapping/{clientId} by the client
    EndMapping,
    /// DELETE /mapping/{clientId} by the therapist
    EndMappingByTherapist,
}

/// Reads of a therapist.
pub(crate) struct Reads {
    pub(crate) paths: Vec<String>,
}

async fn acknowledged_revocation_hides_journal(engine: Engine) {
    revocations(engine, ROUNDS, READERS).await;
}

async fn narrowed_grant_hides_earlier_entries(engine: Engine) {
    narrowings(engine, ROUNDS, READERS).await;
}

async fn private_entry_is_hidden_from_later_reads(engine: Engine) {
    hidings(engine, ROUNDS, READERS).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: .ci/soak"]
async fn soak_revocations() {
    for engine in [Engine::Embedded, Engine::DynamoDbLocal] {
        revocations(engine, SOAK_ROUNDS, SOAK_READERS).await;
        narrowings(engine, SOAK_ROUNDS, SOAK_READERS).await;
        hidings(engine, SOAK_ROUNDS, SOAK_READERS).await;
    }
}

async fn revocations(engine: Engine, rounds: usize, readers: usize) {
    let mesh = TestMesh::start(engine).await;
    let pair = Pair::strangers(&mesh).await;
    pair.map(&mesh).await.expect(201);
    let ids = [write(&mesh, &pair).await, write(&mesh, &pair).await, write(&mesh, &pair).await];
    for round in 0..rounds {
        let how = REVOCATIONS[round % REVOCATIONS.len()];
        pair.grant(&mesh).await.expect(200);
        let reads = Reads::of(&mesh, &pair, &ids[0]).await;
        for path in &reads.paths {
            mesh.get(path, &pair.therapist).await.expect(200);
        }
        race(&mesh, &pair, &reads, readers, how.play(&mesh, &pair), |path, answer| {
            assert_eq!((answer.status, answer.reason()), (404, "NOT_FOUND"), "{how:?}, {path}: {}", answer.body);
        })
        .await;
        if matches!(how, Revocation::EndMapping | Revocation::EndMappingByTherapist) {
            pair.map(&mesh).await.expect(201);
        }
        // A mapping, even a new one, doesn't restore access.
        for path in &reads.paths {
            mesh.get(path, &pair.therapist).await.refused(404, "NOT_FOUND");
        }
    }
    mesh.stop().await;
}

async fn narrowings(engine: Engine, rounds: usize, readers: usize) {
    let mesh = TestMesh::start(engine).await;
    let pair = Pair::with_access(&mesh).await;
    let ids = [write(&mesh, &pair).await, write(&mesh, &pair).await];
    let narrow = async || {
        let from_now_on = json!({"access": "ACCEPTED", "entriesFrom": mesh.clock.now().to_string()});
        pair.access(&mesh, from_now_on).await.expect(200);
    };
    for _ in 0..rounds {
        pair.grant(&mesh).await.expect(200);
        let reads = Reads::of(&mesh, &pair, &ids[0]).await;
        race(&mesh, &pair, &reads, readers, narrow(), |path, answer| {
            let body = &answer.body;
            assert!(!ids.iter().any(|id| body.to_string().contains(id)) && counted(body) == 0, "{path}: {body}");
            // A page token is bound to its grant.
            let status = if path.contains("/entries/") { 404 } else { 200 };
            let status = if path.contains("pageToken") && answer.status == 400 { 400 } else { status };
            assert_eq!(answer.status, status, "{path}: {body}");
        })
        .await;
    }
    mesh.stop().await;
}

async fn hidings(engine: Engine, rounds: usize, readers: usize) {
    let mesh = TestMesh::start(engine).await;
    let pair = Pair::with_access(&mesh).await;
    let ids = [write(&mesh, &pair).await, write(&mesh, &pair).await, write(&mesh, &pair).await];
    // The order within a millisecond is unspecified, so the entry of the second page is the hidden one.
    let all = mesh.get(&pair.journal(""), &pair.client).await.expect(200);
    let hidden = all[1]["entryId"].as_str().unwrap().to_owned();
    assert!(ids.contains(&hidden));
    let path = pair.journal(&format!("/entries/{hidden}"));
    let become_visible = async |visibility: &str| {
        mesh.ask(Method::PUT, &path, Some(&pair.client), Some(json!({"visibility": visibility}))).await.expect(200);
    };
    for _ in 0..rounds {
        become_visible("SHARED").await;
        let reads = Reads::of(&mesh, &pair, &hidden).await;
        for path in &reads.paths {
            let seen = mesh.get(path, &pair.therapist).await.expect(200);
            assert!(seen.to_string().contains(&hidden) || counted(&seen) == 3, "{path}: {seen}");
        }
        race(&mesh, &pair, &reads, readers, become_visible("PRIVATE"), |path, answer| {
            let body = &answer.body;
            assert!(!body.to_string().contains(&hidden), "{path}: {body}");
            assert!(counted(body) <= 2, "{path}: {body}");
            assert!(answer.status == 200 || path.contains("/entries/") && answer.status == 404, "{path}: {body}");
        })
        .await;
    }
    mesh.stop().await;
}

/// Runs readers during the change, and checks reads that start after its acknowledgement with `gone`.
pub(crate) async fn race(
    mesh: &TestMesh,
    pair: &Pair,
    reads: &Reads,
    readers: usize,
    change: impl Future<Output = ()>,
    gone: impl Fn(&str, &Answer),
) {
    let (over, under_way) = (AtomicBool::new(false), Semaphore::new(0));
    let reader = async |number: usize| {
        let path = &reads.paths[number % reads.paths.len()];
        let mut after = 0;
        while after < READS_AFTER {
            let started_after = over.load(Ordering::SeqCst);
            let answer = mesh.get(path, &pair.therapist).await;
            under_way.add_permits(1);
            if started_after {
                gone(path, &answer);
                after += 1;
            } else {
                assert!(matches!(answer.status, 200 | 400 | 404), "{path}: {} {}", answer.status, answer.body);
            }
        }
    };
    let change = async {
        // So many reads are answered before the change begins that others are in progress.
        let first = u32::try_from(readers / 2).unwrap();
        let _ = under_way.acquire_many(first).await.expect("it is never closed");
        change.await;
        over.store(true, Ordering::SeqCst);
    };
    tokio::join!(join_all((0..readers).map(reader)), change);
}

impl Revocation {
    pub(crate) async fn play(self, mesh: &TestMesh, pair: &Pair) {
        let answer = match self {
            Self::EndAccess => pair.end_access(mesh).await,
            Self::Revoke => pair.access(mesh, json!({"access": "REVOKED"})).await,
            Self::EndMapping => pair.end(mesh, &pair.client).await,
            Self::EndMappingByTherapist => pair.end(mesh, &pair.therapist).await,
        };
        assert_eq!(answer.expect(200)["journalAccess"], "REVOKED");
    }
}

impl Reads {
    /// Returns a list, an entry, insights, and a second page by an earlier token.
    async fn of(mesh: &TestMesh, pair: &Pair, entry: &str) -> Self {
        let first = mesh.get(&pair.journal("?pageSize=1"), &pair.therapist).await;
        let token = first.headers["x-next-page-token"].to_str().unwrap().to_owned();
        let paths = ["", &*format!("/entries/{entry}"), "/insights", &*format!("?pageSize=1&pageToken={token}")];
        Self { paths: paths.map(|rest| pair.journal(rest)).into() }
    }
}

async fn write(mesh: &TestMesh, pair: &Pair) -> String {
    let made = pair.write(mesh, entry(mesh, "calm", "between the two of us")).await.expect(201);
    made["entryId"].as_str().unwrap().to_owned()
}

/// Returns the number of entries counted in insights; 0 for any other answer.
fn counted(answer: &Value) -> i64 {
    let buckets = answer["buckets"].as_array().into_iter().flatten();
    buckets
        .flat_map(|bucket| bucket["families"].as_array().into_iter().flatten())
        .filter_map(|f| f["count"].as_i64())
        .sum()
}

async fn concurrent_opposite_answers_apply_one(engine: Engine) {
    let mesh = TestMesh::start(engine).await;
    let pair = Pair::strangers(&mesh).await;
    for round in 0..ROUNDS {
        pair.request(&mesh, "MAPPING").await.expect(201);
        let answers = join_all((0..16).map(async |number: usize| {
            let status = if (number + round).is_multiple_of(2) { "ACCEPTED" } else { "REJECTED" };
            (status, pair.answer(&mesh, status).await)
        }))
        .await;
        let won: Vec<_> = answers.iter().filter(|(_, answer)| answer.status == 200).collect();
        let (winner, told) = won.first().expect("one of them wins");
        let state = if *winner == "ACCEPTED" { "ACTIVE" } else { "REJECTED" };
        assert_eq!(told.body["mappingStatus"], state);
        for (status, answer) in &answers {
            if status == winner {
                assert_eq!((answer.status, &answer.body), (200, &told.body), "the same answer changes nothing");
            } else {
                answer.refused(400, "NO_PENDING_REQUEST");
            }
        }
        let path = format!("/clients/{}/therapists", pair.client.id);
        assert_eq!(mesh.get(&path, &pair.client).await.expect(200)[0]["mappingStatus"], state);
        if state == "REJECTED" {
            // A mapping by the client clears the rejection.
            pair.map(&mesh).await.expect(201);
        }
        pair.end(&mesh, &pair.therapist).await.expect(200);
    }
    mesh.stop().await;
}

async fn concurrent_withdrawal_and_acceptance_end_mapping(engine: Engine) {
    let mesh = TestMesh::start(engine).await;
    let pair = Pair::strangers(&mesh).await;
    for _ in 0..ROUNDS {
        pair.request(&mesh, "MAPPING").await.expect(201);
        let (accepted, ended) = tokio::join!(pair.answer(&mesh, "ACCEPTED"), pair.end(&mesh, &pair.therapist));
        // The end succeeds in either order: it withdraws the request or ends the mapping.
        assert_eq!(ended.expect(200)["mappingStatus"], "ENDED");
        if accepted.status != 200 {
            accepted.refused(400, "NO_PENDING_REQUEST");
        }
        let path = format!("/therapists/{}/clients", pair.therapist.id);
        assert_eq!(mesh.get(&path, &pair.therapist).await.expect(200)[0]["mappingStatus"], "ENDED");
    }
    mesh.stop().await;
}

/// A grant needs no request, so it succeeds after a rejection too; a rejection after it finds no request.
async fn concurrent_grant_and_rejection_end_granted(engine: Engine) {
    let mesh = TestMesh::start(engine).await;
    let pair = Pair::strangers(&mesh).await;
    pair.map(&mesh).await.expect(201);
    for _ in 0..ROUNDS {
        pair.request(&mesh, "JOURNAL_ACCESS").await.expect(201);
        let answers = join_all((0..8).map(async |number: usize| {
            let access = if number == 3 { "ACCEPTED" } else { "REJECTED" };
            (access, pair.access(&mesh, json!({"access": access})).await)
        }))
        .await;
        for (access, answer) in &answers {
            if *access == "ACCEPTED" {
                assert_eq!(
                    (answer.status, &answer.body["journalAccess"]),
                    (200, &json!("ACCEPTED")),
                    "{}",
                    answer.body
                );
            } else if answer.status == 200 {
                assert_eq!(answer.body["journalAccess"], "REJECTED", "{}", answer.body);
            } else {
                answer.refused(400, "NO_PENDING_REQUEST");
            }
        }
        mesh.get(&pair.journal(""), &pair.therapist).await.expect(200);
        pair.end_access(&mesh).await.expect(200);
    }
    mesh.stop().await;
}

async fn parallel_posts_with_key_add_one_entry(engine: Engine) {
    let mesh = TestMesh::start(engine).await;
    let pair = Pair::strangers(&mesh).await;
    for round in 1..=ROUNDS {
        let body = entry(&mesh, "calm", "once");
        let answers = join_all((0..16).map(async |_| {
            let request = mesh.request(Method::POST, &pair.journal("")).bearer_auth(&pair.client.token);
            kit::mesh::answer(request.header("idempotency-key", format!("round {round}")).json(&body)).await
        }))
        .await;
        let first = &answers[0].body;
        for answer in &answers {
            assert_eq!((answer.status, &answer.body), (201, first));
        }
        let all = mesh.get(&pair.journal(""), &pair.client).await.expect(200);
        assert_eq!(all.as_array().unwrap().len(), round);
    }
    mesh.stop().await;
}

async fn parallel_refreshes_get_one_successor(engine: Engine) {
    let mesh = TestMesh::start(engine).await;
    let mut who = mesh.join("CLIENT").await;
    for round in 0..ROUNDS {
        let refresh = || {
            let body = json!({"refreshToken": who.refresh});
            kit::mesh::answer(mesh.request(Method::POST, "/auth/refresh").json(&body))
        };
        let pairs = join_all((0..16).map(|_| refresh())).await.into_iter().map(|pair| Someone::of(&pair.expect(200)));
        let pairs: Vec<_> = pairs.collect();
        let next = pairs[0].clone();
        assert!(pairs.iter().all(|pair| pair.refresh == next.refresh), "round {round}");
        who = next;
        mesh.get("/auth/me", &who).await.expect(200);
    }
    mesh.stop().await;
}

/// One may be answered as unavailable; a retry succeeds.
async fn concurrent_account_deletions_are_not_refused(engine: Engine) {
    let mesh = TestMesh::start(engine).await;
    for _ in 0..ROUNDS {
        let who = mesh.client("Asha").await;
        let path = format!("/clients/{}", who.id);
        let end = || mesh.ask(Method::DELETE, &path, Some(&who), None);
        let (one, other) = tokio::join!(end(), end());
        // Auth processes one deletion at a time and answers 503 to the other.
        for answer in [&one, &other] {
            assert!(answer.status == 204 || answer.status == 503, "{}", answer.body);
        }
        assert!(one.status == 204 || other.status == 204);
        assert_eq!(end().await.status, 204);
    }
    mesh.stop().await;
}

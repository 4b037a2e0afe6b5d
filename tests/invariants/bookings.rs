//! Rules 10 and 11 under concurrency: one of many acceptances succeeds, and concurrent histories of one session are
//! linearizable.

use std::sync::Mutex;

use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use kit::engine::Engine;
use kit::mesh::{Answer, Someone, TestMesh};
use reqwest::Method;
use serde_json::{Value, json};
use stateright::semantics::{ConsistencyTester as _, LinearizabilityTester};

use crate::model::random::Random;
use crate::practice::{Slot as Time, change, decide, id_of};
use crate::register::{Number, Op, Outcome, Register, Request, Slot};
use crate::steps::Pair;

kit::on_each_engine!(
    concurrent_acceptances_accept_one,
    concurrent_booking_histories_are_linearizable,
    concurrent_sessions_never_overlap,
);

const SOAK_ROUNDS: usize = 1_000;
const SOAK_CLIENTS: usize = 100;
/// Number of people registered in parallel: the queue of password hashes holds few of one source.
const JOINING: usize = 4;
/// Number of clients in a checked history: the checker's search grows with each.
const RACING_CLIENTS: usize = 5;

async fn concurrent_acceptances_accept_one(engine: Engine) {
    race_acceptances(engine, 12, 4).await;
}

async fn concurrent_booking_histories_are_linearizable(engine: Engine) {
    histories(engine, 10).await;
}

async fn concurrent_sessions_never_overlap(engine: Engine) {
    race_sessions(engine, 24, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: .ci/soak"]
async fn soak_bookings() {
    for engine in [Engine::Embedded, Engine::DynamoDbLocal] {
        race_acceptances(engine, SOAK_CLIENTS, SOAK_ROUNDS).await;
        histories(engine, SOAK_ROUNDS).await;
        race_sessions(engine, 64, 10).await;
    }
}

/// Registers a therapist and many clients, as pairs with the same therapist.
async fn pairs(mesh: &TestMesh, clients: usize) -> Vec<Pair> {
    let therapist = mesh.therapist("Noor", "Grief", "110001").await;
    let joined = stream::iter(0..clients).map(|_| mesh.join("CLIENT")).buffer_unordered(JOINING);
    joined.map(|client| Pair { client, therapist: therapist.clone() }).collect().await
}

/// Checks the final state only: a hundred concurrent operations are too many for the linearizability checker.
async fn race_acceptances(engine: Engine, clients: usize, rounds: usize) {
    let mesh = TestMesh::start(engine).await;
    let pairs = pairs(&mesh, clients).await;
    let therapist = &pairs[0].therapist;
    for round in 0..rounds {
        let time = Time::new(&mesh, round);
        let session = pairs[0].offer(&mesh, &time).await;
        // Alternates between acceptances after all requests, and each right after its request.
        let accepted = if round % 2 == 0 {
            let asked = join_all(pairs.iter().map(|pair| pair.ask_for(&mesh, &session, &time))).await;
            let asked: Vec<_> = asked.into_iter().map(|asked| id_of(&asked.expect(201), "appointmentId")).collect();
            let accepting = asked.into_iter().map(|id| accept(&mesh, therapist, id));
            join_all(accepting).await
        } else {
            let both = pairs.iter().map(async |pair| {
                let asked = pair.ask_for(&mesh, &session, &time).await;
                if asked.status != 201 {
                    asked.refused(409, "SLOT_TAKEN");
                    return None;
                }
                Some(accept(&mesh, therapist, id_of(&asked.body, "appointmentId")).await)
            });
            join_all(both).await.into_iter().flatten().collect()
        };
        assert_one_accepted(&mesh, &pairs, &session, accepted).await;
    }
    mesh.stop().await;
}

async fn accept(mesh: &TestMesh, therapist: &Someone, appointment: String) -> (String, Answer) {
    let answer = decide(mesh, therapist, &appointment, "ACCEPTED").await;
    (appointment, answer)
}

/// Asserts that one is ACCEPTED, the session is BOOKED for it, and all others are REJECTED in the end.
async fn assert_one_accepted(mesh: &TestMesh, pairs: &[Pair], session: &str, accepted: Vec<(String, Answer)>) {
    let therapist = &pairs[0].therapist;
    let (won, lost): (Vec<_>, Vec<_>) = accepted.into_iter().partition(|(_, answer)| answer.status == 200);
    let [(winner, told)] = won.as_slice() else { panic!("{} have won: {won:?}", won.len()) };
    assert_eq!(told.body["status"], "ACCEPTED");
    let booked = mesh.get(&format!("/sessions/{session}"), therapist).await.expect(200);
    assert_eq!((&booked["status"], &booked["clientId"]), (&json!("BOOKED"), &told.body["clientId"]));
    for (_, answer) in &lost {
        let told = (answer.status, answer.reason());
        assert!(matches!(told, (409, "SLOT_TAKEN") | (400, "NOT_PENDING")), "{told:?}: {}", answer.body);
    }
    let looks = lost.iter().map(async |(id, _)| status(mesh, therapist, id).await);
    for status in join_all(looks).await {
        assert_eq!(status, "REJECTED");
    }
    assert_eq!(status(mesh, therapist, winner).await, "ACCEPTED");
    let waiting = mesh.get("/appointments?status=PENDING&pageSize=200", therapist).await.expect(200);
    assert_eq!(waiting, json!([]), "nobody waits for a session that is taken");
}

async fn status(mesh: &TestMesh, who: &Someone, appointment: &str) -> String {
    let answer = mesh.get(&format!("/appointments/{appointment}/status"), who).await.expect(200);
    id_of(&answer, "status")
}

/// A recorded history, for the checker and for the message of a failure.
struct History {
    checked: LinearizabilityTester<Number, Register>,
    steps: Vec<(Number, Op, Option<Outcome>)>,
}

/// One race for one session.
struct Race<'a> {
    mesh: &'a TestMesh,
    pairs: &'a [Pair],
    session: String,
    time: Time,
    history: Mutex<History>,
}

/// Runs concurrent histories. Each client, with the therapist, changes the client's own request step by step, while the
/// therapist cancels and reopens the session. One caller at a time changes a client's requests, so other callers can
/// observe an unacknowledged change through the session alone.
async fn histories(engine: Engine, rounds: usize) {
    let mesh = TestMesh::start(engine).await;
    let pairs = pairs(&mesh, RACING_CLIENTS).await;
    for round in 0..rounds {
        let time = Time::new(&mesh, round);
        let session = pairs[0].offer(&mesh, &time).await;
        let history = History { checked: LinearizabilityTester::new(Register::new(RACING_CLIENTS)), steps: Vec::new() };
        let history = Mutex::new(history);
        let race = Race { mesh: &mesh, pairs: &pairs, session, time, history };
        let mut random = Random::new(u64::try_from(round).unwrap());
        let clients: Vec<_> = (0..RACING_CLIENTS).map(|number| (number, plan(&mut random))).collect();
        let therapist = random.percent(60).then(|| [Op::Cancel, Op::Reopen].map(|op| random.percent(60).then_some(op)));
        let therapist = async {
            for op in therapist.into_iter().flatten().flatten() {
                race.play(RACING_CLIENTS, op, None).await;
            }
        };
        let clients = join_all(clients.into_iter().map(|(number, plan)| race.client(number, plan)));
        let (requests, ()) = tokio::join!(clients, therapist);
        // Once all is acknowledged, the final reads belong to the history too.
        race.play(RACING_CLIENTS, Op::LookAtSlot, None).await;
        for (number, request) in requests.iter().enumerate() {
            race.play(number, Op::Look(number), request.as_deref()).await;
        }
        let History { checked, steps } = race.history.into_inner().unwrap();
        let lines = || steps.iter().map(|step| format!("{step:?}")).collect::<Vec<_>>().join("\n");
        assert!(checked.is_consistent(), "round {round}: no order of these explains what was told:\n{}", lines());
    }
    mesh.stop().await;
}

impl History {
    fn begins(&mut self, thread: Number, op: Op) {
        self.checked.on_invoke(thread, op).unwrap();
        self.steps.push((thread, op, None));
    }

    fn ends(&mut self, thread: Number, op: Op, told: Outcome) {
        self.checked.on_return(thread, told).unwrap();
        self.steps.push((thread, op, Some(told)));
    }
}

/// Sequence of operations on one request.
#[derive(Debug, Clone, Copy)]
enum Plan {
    Accept,
    AcceptAndRevoke,
    AcceptRevokeAndAskAgain,
    Reject,
    Withdraw,
}

fn plan(random: &mut Random) -> Plan {
    random.weighted(&[
        (4, Plan::Accept),
        (3, Plan::AcceptAndRevoke),
        (3, Plan::AcceptRevokeAndAskAgain),
        (1, Plan::Reject),
        (2, Plan::Withdraw),
    ])
}

impl Race<'_> {
    /// Plays the plan of one client. Returns the id of the client's last request.
    async fn client(&self, number: Number, plan: Plan) -> Option<String> {
        let mut request = self.ask(number, None).await?;
        let steps: &[Op] = match plan {
            Plan::Accept => &[Op::Accept(number)],
            Plan::AcceptAndRevoke | Plan::AcceptRevokeAndAskAgain => &[Op::Accept(number), Op::Revoke(number)],
            Plan::Reject => &[Op::Reject(number)],
            Plan::Withdraw => &[Op::Withdraw(number)],
        };
        for step in steps {
            self.play(number, *step, Some(&request)).await;
        }
        if let Plan::AcceptRevokeAndAskAgain = plan
            && let Some(again) = self.ask(number, Some(&request)).await
        {
            request = again;
            self.play(number, Op::Accept(number), Some(&request)).await;
        }
        Some(request)
    }

    /// Requests the session. Returns the id of the request, if there is one now.
    async fn ask(&self, number: Number, before: Option<&str>) -> Option<String> {
        let body = self.play(number, Op::Ask(number), before).await;
        body["appointmentId"].as_str().map(str::to_owned)
    }

    /// Runs an operation and records its start, its end and its outcome.
    async fn play(&self, thread: Number, op: Op, request: Option<&str>) -> Value {
        self.history.lock().unwrap().begins(thread, op);
        let answer = self.send(op, request).await;
        let told = self.outcome(op, &answer);
        self.history.lock().unwrap().ends(thread, op, told);
        if matches!(told, Outcome::Done | Outcome::Rejected) { answer.body } else { Value::Null }
    }

    async fn send(&self, op: Op, request: Option<&str>) -> Answer {
        let (mesh, therapist) = (self.mesh, &self.pairs[0].therapist);
        let client = |number: Number| &self.pairs[number].client;
        let request = request.unwrap_or("01933b5e-7a4c-7def-8abc-0123456789ae");
        match op {
            Op::Ask(number) => self.pairs[number].ask_for(mesh, &self.session, &self.time).await,
            Op::Accept(_) => decide(mesh, therapist, request, "ACCEPTED").await,
            Op::Reject(_) => decide(mesh, therapist, request, "REJECTED").await,
            Op::Revoke(number) if number % 2 == 0 => decide(mesh, client(number), request, "REVOKED").await,
            Op::Revoke(_) => decide(mesh, therapist, request, "REVOKED").await,
            Op::Withdraw(number) => {
                mesh.ask(Method::DELETE, &format!("/appointments/{request}"), Some(client(number)), None).await
            }
            Op::Cancel => change(mesh, therapist, &self.session, json!({"status": "CANCELLED"})).await,
            Op::Reopen => change(mesh, therapist, &self.session, json!({"status": "AVAILABLE"})).await,
            Op::LookAtSlot => mesh.get(&format!("/sessions/{}", self.session), therapist).await,
            Op::Look(number) => mesh.get(&format!("/appointments/{request}/status"), client(number)).await,
        }
    }

    fn outcome(&self, op: Op, answer: &Answer) -> Outcome {
        let status = answer.body["status"].as_str().unwrap_or_default();
        match (op, answer.status, answer.reason()) {
            (Op::LookAtSlot, 200, _) => Outcome::Slot(match status {
                "AVAILABLE" => Slot::Available,
                "CANCELLED" => Slot::Cancelled,
                _ => Slot::Booked(self.number(&answer.body["clientId"])),
            }),
            (Op::Look(_), 200, _) => Outcome::Request(match status {
                "PENDING" => Request::Pending,
                "ACCEPTED" => Request::Accepted,
                "REJECTED" => Request::Rejected,
                "REVOKED" => Request::Revoked,
                other => panic!("{other} in the middle of a race"),
            }),
            (Op::Look(_), 404, _) => Outcome::Request(Request::None),
            (Op::Ask(_), 201, _) if status == "REJECTED" => Outcome::Rejected,
            (_, 200 | 201 | 204, _) => Outcome::Done,
            (Op::Ask(_) | Op::Accept(_), 409, "SLOT_TAKEN") => Outcome::Taken,
            (_, 400, "NOT_PENDING" | "NOT_ACCEPTED" | "SESSION_GONE") => Outcome::Refused,
            (_, 404, _) => Outcome::Absent,
            (_, status, reason) => panic!("{op:?}: {status} {reason}: {}", answer.body),
        }
    }

    fn number(&self, client: &Value) -> Number {
        self.pairs.iter().position(|pair| *client == pair.client.id.as_str()).expect("one of the race")
    }
}

/// Rule 9, for sessions that are added, moved and reopened concurrently.
async fn race_sessions(engine: Engine, callers: usize, rounds: usize) {
    let mesh = TestMesh::start(engine).await;
    let therapist = mesh.therapist("Noor", "Grief", "110001").await;
    let mut random = Random::new(9);
    for round in 0..rounds {
        // All within six hours of one day.
        let time = Time::new(&mesh, 24 * round);
        let sessions = (0..callers).map(|_| {
            let start = random.below(360);
            let end = start + 5 + random.below(90);
            let clock = |minute: usize| format!("{:02}:{:02}", minute / 60, minute % 60);
            json!({"sessionDate": time.date, "startTime": clock(start), "endTime": clock(end)})
        });
        let sessions: Vec<_> = sessions.collect();
        let add = async |session: &Value| {
            let answer = retry_on_conflict(async || {
                mesh.ask(Method::POST, "/sessions", Some(&therapist), Some(session.clone())).await
            })
            .await;
            if answer.status != 201 {
                answer.refused(409, "SESSION_OVERLAPS");
                return None;
            }
            Some(id_of(&answer.body, "sessionId"))
        };
        let added: Vec<_> = join_all(sessions.iter().map(add)).await.into_iter().flatten().collect();
        assert!(!added.is_empty(), "one of them has no other in its way");
        no_two_overlap(&mesh, &therapist, &time).await;
        // Each moves to a time that another one may take now.
        let moves = added.iter().zip(&sessions).enumerate().map(async |(number, (id, session))| {
            if number % 5 == 0 {
                let set_status = async |status: &str| {
                    retry_on_conflict(async || change(&mesh, &therapist, id, json!({"status": status})).await).await
                };
                set_status("CANCELLED").await.expect(200);
                let reopened = set_status("AVAILABLE").await;
                assert!(reopened.status == 200 || reopened.reason() == "SESSION_OVERLAPS", "{}", reopened.body);
                return;
            }
            let moved = retry_on_conflict(async || change(&mesh, &therapist, id, session.clone()).await).await;
            assert!(moved.status == 200 || moved.reason() == "SESSION_OVERLAPS", "{}", moved.body);
        });
        join_all(moves).await;
        no_two_overlap(&mesh, &therapist, &time).await;
    }
    mesh.stop().await;
}

/// Retries a request while it is answered with CONFLICT.
async fn retry_on_conflict(ask: impl AsyncFn() -> Answer) -> Answer {
    loop {
        let answer = ask().await;
        if answer.reason() != "CONFLICT" {
            return answer;
        }
    }
}

async fn no_two_overlap(mesh: &TestMesh, therapist: &Someone, time: &Time) {
    let path = format!("/sessions?afterDate={}&pageSize=200", time.date);
    let sessions = mesh.get(&path, therapist).await.expect(200);
    let minutes = |clock: &Value| {
        let clock = clock.as_str().expect("a time");
        clock[..2].parse::<u32>().unwrap() * 60 + clock[3..].parse::<u32>().unwrap()
    };
    let standing = sessions.as_array().unwrap().iter().filter(|session| session["status"] != "CANCELLED");
    let times: Vec<_> =
        standing.map(|session| (minutes(&session["startTime"]), minutes(&session["endTime"]))).collect();
    assert!(times.is_sorted(), "in the order of their starts: {sessions}");
    for pair in times.windows(2) {
        assert!(pair[0].1 <= pair[1].0, "two overlap: {pair:?}");
    }
}

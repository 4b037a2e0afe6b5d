//! Bookings, which involve two services, while DynamoDB calls fail at any step or a service crashes there.
//!
//! Each command runs once without a fault, to count its calls of the two tables. Then it runs once for each of these
//! calls, with the same people and a new session: all calls from that one on fail until the command is answered. The
//! bookings must be consistent once recovery has run.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use kernel::{Clock as _, Timestamp};
use kit::engine::Engine;
use kit::fault::{Call, Mode, Proxy};
use kit::mesh::{Answer, Someone, TestMesh};
use kit::wait::until;
use mesh::Config;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::NEVER;

kit::on_each_engine!(
    faults_during_acceptance_leave_consistent_booking,
    faults_during_revocation_leave_consistent_booking,
    faults_during_cancellation_leave_consistent_booking,
    faults_during_reopening_leave_consistent_booking,
    faults_during_session_deletion_leave_consistent_booking,
    faults_during_direct_booking_leave_consistent_booking,
    faults_during_relation_end_leave_consistent_booking,
    crash_at_any_step_leaves_consistent_booking,
);

const SOON: Duration = Duration::from_millis(50);
const MODES: [Mode; 3] = [Mode::Throttle, Mode::LoseAnswer, Mode::Conflict];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Accept,
    Revoke,
    Cancel,
    Reopen,
    Delete,
    BookAtOnce,
    EndRelation,
}

const COMMANDS: [Command; 7] = [
    Command::Accept,
    Command::Revoke,
    Command::Cancel,
    Command::Reopen,
    Command::Delete,
    Command::BookAtOnce,
    Command::EndRelation,
];

impl Command {
    /// Returns the tables of the two services that the command involves.
    const fn tables(self) -> [&'static str; 2] {
        match self {
            Self::Accept | Self::Revoke | Self::Cancel | Self::Reopen | Self::Delete | Self::BookAtOnce => {
                ["Sessions", "Appointments"]
            }
            Self::EndRelation => ["Mappings", "Appointments"],
        }
    }
}

async fn faults_during_acceptance_leave_consistent_booking(engine: Engine) {
    faults(engine, Command::Accept).await;
}

async fn faults_during_revocation_leave_consistent_booking(engine: Engine) {
    faults(engine, Command::Revoke).await;
}

async fn faults_during_cancellation_leave_consistent_booking(engine: Engine) {
    faults(engine, Command::Cancel).await;
}

async fn faults_during_reopening_leave_consistent_booking(engine: Engine) {
    faults(engine, Command::Reopen).await;
}

async fn faults_during_session_deletion_leave_consistent_booking(engine: Engine) {
    faults(engine, Command::Delete).await;
}

async fn faults_during_direct_booking_leave_consistent_booking(engine: Engine) {
    faults(engine, Command::BookAtOnce).await;
}

async fn faults_during_relation_end_leave_consistent_booking(engine: Engine) {
    faults(engine, Command::EndRelation).await;
}

async fn faults(engine: Engine, command: Command) {
    let faulty =
        Box::pin(FaultyMesh::start(engine, command, |config| config.account_deletion.recovery_interval = SOON)).await;
    let people = People::join(&faulty.mesh).await;
    for mode in MODES {
        faults_of(&faulty, &people, command, mode).await;
    }
    faulty.mesh.stop().await;
}

async fn faults_of(faulty: &FaultyMesh, people: &People, command: Command, mode: Mode) {
    // A read never conflicts.
    faulty.only(mode == Mode::Conflict);
    let steps = faulty.count(people, command).await;
    for step in 0..steps {
        let fixture = Fixture::create(&faulty.mesh, people, command).await;
        faulty.fail_from(step, mode.clone()).await;
        let what = format!("{command:?}, {mode:?} from call {step} of {steps} on");
        fixture.play_and_recover(faulty, people, command, &what).await;
    }
    // A call that fails once is retried. A throttled call had no effect, so its retry needs no test.
    for step in 0..if mode == Mode::Throttle { 0 } else { steps } {
        let fixture = Fixture::create(&faulty.mesh, people, command).await;
        faulty.fail_once(step, mode.clone());
        let what = format!("{command:?}, {mode:?} at call {step} of {steps}");
        fixture.play_and_recover(faulty, people, command, &what).await;
    }
}

/// From one call on, no call of the first mesh reaches the tables, as after a crash; a second mesh over the same tables
/// recovers. The commands run in parallel, each on its own tables, since most of the time is waiting.
async fn crash_at_any_step_leaves_consistent_booking(engine: Engine) {
    join_all(COMMANDS.map(|command| crashes(engine, command))).await;
}

async fn crashes(engine: Engine, command: Command) {
    let secrets = tempfile::tempdir().unwrap();
    let keys = ["BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", "CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg="];
    let files = ["secrets", "keys"].map(|name| secrets.path().join(name));
    for (file, key) in files.iter().zip(keys) {
        fs::write(file, format!("{key}\n")).unwrap();
    }
    let home = FaultyMesh::start(engine, command, |config| {
        config.storage.secrets_file = Some(files[0].clone());
        config.storage.key_encryption_keys_file = Some(files[1].clone());
    })
    .await;
    let people = People::join(&home.mesh).await;
    let shared = |config: &mut Config| {
        config.storage.secrets_file = Some(files[0].clone());
        config.storage.key_encryption_keys_file = Some(files[1].clone());
        config.dynamodb.table_prefix.clone_from(&home.mesh.dynamodb.table_prefix);
    };
    let steps = home.count(&people, command).await;
    for step in 0..steps {
        let first = FaultyMesh::start(engine, command, shared).await;
        let fixture = Fixture::create(&first.mesh, &people, command).await;
        first.fail_from(step, Mode::Hang).await;
        // The crash comes as soon as a call is cut off, unless the command is answered without it.
        tokio::select! {
            () = first.proxy.held() => {}
            answer = fixture.play(&first.mesh, &people, command) => {
                assert_ne!(answer.status, 500, "{command:?}, cut off at call {step}: {}", answer.body);
            }
        }

        let second = TestMesh::start_with(engine, |config| {
            shared(config);
            config.dynamodb.endpoint = Some(first.direct.clone());
            config.account_deletion.recovery_interval = SOON;
        });
        let second = second.await;
        let what = format!("{command:?}, a crash at call {step} of {steps}");
        until(&what, async || fixture.is_consistent(&second, &people).await).await;
        // The command succeeds or is refused, but doesn't fail, when it is repeated.
        let again = fixture.play(&second, &people, command).await;
        assert!(again.status < 500, "{what}: {}", again.body);
        until(&what, async || fixture.is_consistent(&second, &people).await).await;
        fixture.clear(&second, &people).await;
        second.stop().await;
    }
    home.mesh.stop().await;
}

/// A mesh behind its own fault-injecting proxy.
struct FaultyMesh {
    mesh: TestMesh,
    proxy: Proxy,
    /// Endpoint of the engine, without the proxy.
    direct: String,
    /// True if writes alone fail.
    writes: Arc<AtomicBool>,
    tables: [&'static str; 2],
}

impl FaultyMesh {
    async fn start(engine: Engine, command: Command, change: impl FnOnce(&mut Config)) -> Self {
        let direct = engine.endpoint().await;
        let proxy = Proxy::start(&direct);
        let mesh = TestMesh::start_with(engine, |config| {
            config.dynamodb.endpoint = Some(proxy.endpoint());
            config.server.health_interval = NEVER;
            config.account_deletion.recovery_interval = NEVER;
            // A call that fails once is retried; more retries are more waits.
            config.dynamodb.max_attempts = 2;
            change(config);
        });
        let mesh = mesh.await;
        let faulty = Self { mesh, proxy, direct, writes: Arc::default(), tables: command.tables() };
        faulty.only(false);
        faulty
    }

    /// Limits faults to the calls of a command, or to the writes among them.
    fn only(&self, writes: bool) {
        self.writes.store(writes, Ordering::Relaxed);
        let (tables, writes) = (self.table_names(), Arc::clone(&self.writes));
        self.proxy.only(move |call| is_meant(call, &tables, writes.load(Ordering::Relaxed)));
    }

    fn table_names(&self) -> [String; 2] {
        self.tables.map(|table| format!("{}{table}", self.mesh.dynamodb.table_prefix))
    }

    /// Counts the calls of the two tables that a command takes when nothing fails.
    async fn count(&self, people: &People, command: Command) -> usize {
        let fixture = Fixture::create(&self.mesh, people, command).await;
        let tables = self.table_names();
        let _before = self.proxy.take_calls();
        let answer = fixture.play(&self.mesh, people, command).await;
        assert!(answer.status < 300, "{command:?}: {}", answer.body);
        let writes = self.writes.load(Ordering::Relaxed);
        let steps = self.proxy.take_calls_that(|call| is_meant(call, &tables, writes)).len();
        assert!(steps >= 3, "{command:?} takes {steps} calls");
        assert!(fixture.is_consistent(&self.mesh, people).await, "{command:?} is done when it is acknowledged");
        steps
    }

    async fn fail_from(&self, step: usize, mode: Mode) {
        self.proxy.next(std::iter::repeat_n(Mode::Pass, step));
        self.proxy.set(mode).await;
    }

    fn fail_once(&self, step: usize, mode: Mode) {
        self.proxy.next(std::iter::repeat_n(Mode::Pass, step).chain([mode]));
    }
}

/// Returns true for the calls of a command, without background queries for pending events.
fn is_meant(call: Call<'_>, tables: &[String; 2], writes: bool) -> bool {
    let is_read = matches!(call.operation, "GetItem" | "BatchGetItem" | "Query");
    tables.iter().any(|table| call.names(table))
        && !(call.operation == "Query" && call.names("pending"))
        && !(writes && is_read)
}

/// A therapist, the client whose request is accepted, and another client with a request.
struct People {
    therapist: Someone,
    client: Someone,
    other: Someone,
}

impl People {
    async fn join(mesh: &TestMesh) -> Self {
        let (therapist, client, other) =
            tokio::join!(mesh.therapist("Noor", "Grief", "110001"), mesh.client("Asha"), mesh.client("Ben"));
        for client in [&client, &other] {
            let mapped = json!({"therapistId": therapist.id});
            mesh.ask(Method::POST, &format!("/mapping/{}", client.id), Some(client), Some(mapped)).await.expect(201);
        }
        Self { therapist, client, other }
    }
}

/// A session and the requests for it.
struct Fixture {
    session: String,
    start: Timestamp,
    /// The request of the client.
    appointment: String,
}

impl Fixture {
    /// Creates the session and requests that the command needs.
    async fn create(mesh: &TestMesh, people: &People, command: Command) -> Self {
        // Each fixture takes a new hour.
        mesh.pass(Duration::from_millis(1));
        let hour = Duration::from_secs(3600);
        let ahead = mesh.clock.now().checked_add(hour * 24 + hour * next()).unwrap();
        let start = Timestamp::from_second(ahead.as_second() / 3600 * 3600).unwrap();
        let mut fixture = Self { session: String::new(), start, appointment: String::new() };
        if command == Command::BookAtOnce {
            return fixture;
        }
        let session =
            mesh.ask(Method::POST, "/sessions", Some(&people.therapist), Some(fixture.draft())).await.expect(201);
        fixture.session = text(&session, "sessionId");
        let ask = async |client: &Someone| {
            let wanted = json!({
                "therapistId": people.therapist.id, "sessionId": fixture.session, "appointmentDate": start.to_string(),
            });
            text(
                &mesh.ask(Method::POST, "/appointments", Some(client), Some(wanted)).await.expect(201),
                "appointmentId",
            )
        };
        fixture.appointment = ask(&people.client).await;
        ask(&people.other).await;
        if matches!(command, Command::Revoke | Command::Cancel | Command::Reopen | Command::Delete) {
            fixture.play(mesh, people, Command::Accept).await.expect(200);
        }
        fixture
    }

    fn draft(&self) -> Value {
        let end = &self.start.to_string()[11..13];
        json!({"sessionDate": self.start.to_string(), "endTime": format!("{end}:50"), "sharedNotes": "ours"})
    }

    async fn play(&self, mesh: &TestMesh, people: &People, command: Command) -> Answer {
        let session = format!("/sessions/{}", self.session);
        let status = format!("/appointments/{}/status", self.appointment);
        let put = async |path: &str, who: &Someone, status: &str| {
            mesh.ask(Method::PUT, path, Some(who), Some(json!({"status": status}))).await
        };
        match command {
            Command::Accept => put(&status, &people.therapist, "ACCEPTED").await,
            Command::Revoke => put(&status, &people.client, "REVOKED").await,
            Command::Cancel => put(&session, &people.therapist, "CANCELLED").await,
            Command::Reopen => put(&session, &people.therapist, "AVAILABLE").await,
            Command::Delete => mesh.ask(Method::DELETE, &session, Some(&people.therapist), None).await,
            Command::EndRelation => {
                let path = format!("/mapping/{}?therapistId={}", people.client.id, people.therapist.id);
                mesh.ask(Method::DELETE, &path, Some(&people.client), None).await
            }
            Command::BookAtOnce => {
                let mut draft = self.draft();
                draft["clientId"] = people.client.id.as_str().into();
                mesh.ask(Method::POST, "/sessions", Some(&people.therapist), Some(draft)).await
            }
        }
    }

    /// Plays the command, ends the fault, and asserts that recovery leaves a consistent booking in which an acknowledged
    /// command has taken effect.
    async fn play_and_recover(&self, faulty: &FaultyMesh, people: &People, command: Command, fault: &str) {
        let answer = self.play(&faulty.mesh, people, command).await;
        faulty.proxy.set(Mode::Pass).await;
        let what = format!("{fault}, told {}", answer.status);
        until(&what, async || self.is_consistent(&faulty.mesh, people).await).await;
        self.assert_applied(&faulty.mesh, people, command, &answer, &what).await;
        self.clear(&faulty.mesh, people).await;
    }

    /// Returns the session at that hour, if there is one, and its appointments; `None` if a read fails.
    async fn observe(&self, mesh: &TestMesh, people: &People) -> Option<(Value, Vec<Value>)> {
        let end = self.start.checked_add(Duration::from_secs(1)).unwrap();
        let path = format!("/sessions?afterDate={}&beforeDate={end}", self.start);
        let sessions = mesh.get(&path, &people.therapist).await;
        let appointments = mesh.get("/appointments?pageSize=200", &people.therapist).await;
        if sessions.status != 200 || appointments.status != 200 {
            return None;
        }
        let session = sessions.body.get(0).cloned().unwrap_or(Value::Null);
        let of = |it: &&Value| {
            let id = if self.session.is_empty() { &session["sessionId"] } else { &json!(self.session) };
            it["sessionId"] == *id
        };
        let appointments = appointments.body.as_array().unwrap().iter().filter(of).cloned().collect();
        Some((session, appointments))
    }

    /// Returns the same, retried until the reads succeed.
    async fn observe_until_ready(&self, mesh: &TestMesh, people: &People) -> (Value, Vec<Value>) {
        loop {
            if let Some(seen) = self.observe(mesh, people).await {
                return seen;
            }
        }
    }

    /// Returns true if a booked slot has its appointment, an accepted appointment has its slot, and no request waits
    /// for an unavailable session or after the end of the relation.
    async fn is_consistent(&self, mesh: &TestMesh, people: &People) -> bool {
        let Some((session, appointments)) = self.observe(mesh, people).await else { return false };
        let related = mesh.get("/clients", &people.therapist).await;
        if related.status != 200 {
            return false;
        }
        let is_related = |id: &Value| related.body.as_array().unwrap().iter().any(|it| it["clientId"] == *id);
        if appointments.iter().any(|it| it["status"] == "PENDING" && !is_related(&it["clientId"])) {
            return false;
        }
        let accepted: Vec<_> = appointments.iter().filter(|it| it["status"] == "ACCEPTED").collect();
        let waits = appointments.iter().any(|it| it["status"] == "PENDING");
        match session["status"].as_str() {
            Some("BOOKED") => accepted.len() == 1 && accepted[0]["clientId"] == session["clientId"] && !waits,
            Some("AVAILABLE") => accepted.is_empty() && session["clientId"] == "",
            _ => accepted.is_empty() && !waits,
        }
    }

    /// Deletes the session, so that its requests don't count against the limit of five.
    async fn clear(&self, mesh: &TestMesh, people: &People) {
        let (session, _) = self.observe_until_ready(mesh, people).await;
        if let Some(id) = session["sessionId"].as_str() {
            let path = format!("/sessions/{id}");
            assert_eq!(mesh.ask(Method::DELETE, &path, Some(&people.therapist), None).await.status, 204);
        }
    }

    /// Asserts that an acknowledged command has taken effect.
    async fn assert_applied(&self, mesh: &TestMesh, people: &People, command: Command, answer: &Answer, what: &str) {
        assert!(
            answer.status < 300 || matches!(answer.status, 409 | 503 | 504),
            "{what}: {} {}",
            answer.status,
            answer.body
        );
        if answer.status >= 300 {
            return;
        }
        let (session, appointments) = self.observe_until_ready(mesh, people).await;
        let own = appointments.iter().find(|it| it["clientId"] == people.client.id.as_str());
        let own = own.map_or("", |it| it["status"].as_str().unwrap());
        let found = (session["status"].as_str().unwrap_or("none"), own);
        let expected = match command {
            Command::Accept | Command::BookAtOnce => ("BOOKED", "ACCEPTED"),
            Command::Revoke | Command::Reopen => ("AVAILABLE", "REVOKED"),
            Command::Cancel => ("CANCELLED", "REVOKED"),
            Command::Delete => ("none", "REVOKED"),
            Command::EndRelation => ("AVAILABLE", ""),
        };
        assert_eq!(found, expected, "{what}");
    }
}

/// Returns the next number of this process.
fn next() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn text(answer: &Value, field: &str) -> String {
    answer[field].as_str().unwrap_or_else(|| panic!("no {field} in {answer}")).to_owned()
}

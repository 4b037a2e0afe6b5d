//! A booking, which two services have a part in, while DynamoDB fails one of them at any step, or one of them stops there.
//!
//! Each deed is done once without a fault, to count its calls of the two tables. Then it is done again and again, on the same
//! people and a new session each time, and from the first call on, the second, and so on the calls fail, until it has been
//! answered. Recovery may then do its work; what must hold holds within its time.

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
    what_fails_while_a_request_is_accepted_leaves_no_half,
    what_fails_while_an_appointment_is_revoked_leaves_no_half,
    what_fails_while_a_session_is_cancelled_leaves_no_half,
    what_fails_while_a_session_is_opened_again_leaves_no_half,
    what_fails_while_a_session_is_deleted_leaves_no_half,
    what_fails_while_a_session_is_booked_at_once_leaves_no_half,
    faults_while_a_client_ends_the_relation_leave_no_half,
    a_crash_at_any_step_leaves_no_half,
);

const SOON: Duration = Duration::from_millis(50);
/// How long a caller waits for a mesh that is cut off.
const CUT_OFF: Duration = Duration::from_secs(1);
const MODES: [Mode; 3] = [Mode::Throttle, Mode::LoseAnswer, Mode::Conflict];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Accept,
    Revoke,
    Cancel,
    Reopen,
    Delete,
    BookAtOnce,
    EndRelation,
}

const DEEDS: [Deed; 7] =
    [Deed::Accept, Deed::Revoke, Deed::Cancel, Deed::Reopen, Deed::Delete, Deed::BookAtOnce, Deed::EndRelation];

impl Deed {
    /// The tables of the two services that have a part in it.
    const fn tables(self) -> [&'static str; 2] {
        match self {
            Self::Accept | Self::Revoke | Self::Cancel | Self::Reopen | Self::Delete | Self::BookAtOnce => {
                ["Sessions", "Appointments"]
            }
            Self::EndRelation => ["Mappings", "Appointments"],
        }
    }
}

async fn what_fails_while_a_request_is_accepted_leaves_no_half(engine: Engine) {
    faults(engine, Deed::Accept).await;
}

async fn what_fails_while_an_appointment_is_revoked_leaves_no_half(engine: Engine) {
    faults(engine, Deed::Revoke).await;
}

async fn what_fails_while_a_session_is_cancelled_leaves_no_half(engine: Engine) {
    faults(engine, Deed::Cancel).await;
}

async fn what_fails_while_a_session_is_opened_again_leaves_no_half(engine: Engine) {
    faults(engine, Deed::Reopen).await;
}

async fn what_fails_while_a_session_is_deleted_leaves_no_half(engine: Engine) {
    faults(engine, Deed::Delete).await;
}

async fn what_fails_while_a_session_is_booked_at_once_leaves_no_half(engine: Engine) {
    faults(engine, Deed::BookAtOnce).await;
}

async fn faults_while_a_client_ends_the_relation_leave_no_half(engine: Engine) {
    faults(engine, Deed::EndRelation).await;
}

async fn faults(engine: Engine, deed: Deed) {
    let stage = Box::pin(Stage::start(engine, deed, |config| config.endings.recovery_interval = SOON)).await;
    let people = People::join(&stage.mesh).await;
    for mode in MODES {
        // A read never conflicts.
        stage.only(mode == Mode::Conflict);
        let steps = stage.count(&people, deed).await;
        for step in 0..steps {
            let scene = Scene::set(&stage.mesh, &people, deed).await;
            stage.fail_from(step, mode.clone()).await;
            let answer = scene.play(&stage.mesh, &people, deed).await;
            stage.proxy.set(Mode::Pass).await;
            let what = format!("{deed:?}, {mode:?} from call {step} of {steps} on, told {}", answer.status);
            until(&what, async || scene.is_whole(&stage.mesh, &people).await).await;
            scene.is_as_was_told(&stage.mesh, &people, deed, &answer, &what).await;
            scene.clear(&stage.mesh, &people).await;
        }
        // A call that fails once is repeated. What was throttled was not done: there is nothing to see in doing it again.
        for step in 0..if mode == Mode::Throttle { 0 } else { steps } {
            let scene = Scene::set(&stage.mesh, &people, deed).await;
            stage.fail_once(step, mode.clone());
            let answer = scene.play(&stage.mesh, &people, deed).await;
            stage.proxy.set(Mode::Pass).await;
            let what = format!("{deed:?}, {mode:?} at call {step} of {steps}, told {}", answer.status);
            until(&what, async || scene.is_whole(&stage.mesh, &people).await).await;
            scene.is_as_was_told(&stage.mesh, &people, deed, &answer, &what).await;
            scene.clear(&stage.mesh, &people).await;
        }
    }
    stage.mesh.stop().await;
}

/// From some call on nothing of the first mesh reaches the tables, for good: as far as they can tell, it has crashed. A second
/// one over the same tables puts things right. Most of it is waiting, so the deeds are done side by side, each on its own tables.
async fn a_crash_at_any_step_leaves_no_half(engine: Engine) {
    join_all(DEEDS.map(|deed| crashes(engine, deed))).await;
}

async fn crashes(engine: Engine, deed: Deed) {
    let secrets = tempfile::tempdir().unwrap();
    let keys = ["BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", "CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg="];
    let files = ["secrets", "keys"].map(|name| secrets.path().join(name));
    for (file, key) in files.iter().zip(keys) {
        fs::write(file, format!("{key}\n")).unwrap();
    }
    let home = Stage::start(engine, deed, |config| {
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
    let steps = home.count(&people, deed).await;
    for step in 0..steps {
        let first = Stage::start(engine, deed, shared).await;
        let scene = Scene::set(&first.mesh, &people, deed).await;
        first.fail_from(step, Mode::Hang).await;
        let cut_off = tokio::time::timeout(CUT_OFF, scene.play(&first.mesh, &people, deed)).await;
        if let Ok(answer) = cut_off {
            assert_ne!(answer.status, 500, "{deed:?}, cut off at call {step}: {}", answer.body);
        }

        let second = TestMesh::start_with(engine, |config| {
            shared(config);
            config.dynamodb.endpoint = Some(first.direct.clone());
            config.endings.recovery_interval = SOON;
        });
        let second = second.await;
        let what = format!("{deed:?}, a crash at call {step} of {steps}");
        until(&what, async || scene.is_whole(&second, &people).await).await;
        // What was not done can be done now.
        let again = scene.play(&second, &people, deed).await;
        assert!(again.status < 500, "{what}: {}", again.body);
        until(&what, async || scene.is_whole(&second, &people).await).await;
        scene.clear(&second, &people).await;
        second.stop().await;
    }
    home.mesh.stop().await;
}

/// A mesh behind a proxy of its own.
struct Stage {
    mesh: TestMesh,
    proxy: Proxy,
    /// The engine, past the proxy.
    direct: String,
    /// Whether writes alone fail.
    writes: Arc<AtomicBool>,
    tables: [&'static str; 2],
}

impl Stage {
    async fn start(engine: Engine, deed: Deed, change: impl FnOnce(&mut Config)) -> Self {
        let direct = engine.endpoint().await;
        let proxy = Proxy::start(&direct);
        let mesh = TestMesh::start_with(engine, |config| {
            config.dynamodb.endpoint = Some(proxy.endpoint());
            config.server.health_interval = NEVER;
            config.endings.recovery_interval = NEVER;
            change(config);
        });
        let mesh = mesh.await;
        let stage = Self { mesh, proxy, direct, writes: Arc::default(), tables: deed.tables() };
        stage.only(false);
        stage
    }

    /// Limits what fails to the calls that a deed consists of, or to the writes among them.
    fn only(&self, writes: bool) {
        self.writes.store(writes, Ordering::Relaxed);
        let (tables, writes) = (self.table_names(), Arc::clone(&self.writes));
        self.proxy.only(move |call| is_meant(call, &tables, writes.load(Ordering::Relaxed)));
    }

    fn table_names(&self) -> [String; 2] {
        self.tables.map(|table| format!("{}{table}", self.mesh.dynamodb.table_prefix))
    }

    /// How many calls of the two tables a deed takes when nothing fails.
    async fn count(&self, people: &People, deed: Deed) -> usize {
        let scene = Scene::set(&self.mesh, people, deed).await;
        let tables = self.table_names();
        let _before = self.proxy.take_calls();
        let answer = scene.play(&self.mesh, people, deed).await;
        assert!(answer.status < 300, "{deed:?}: {}", answer.body);
        let writes = self.writes.load(Ordering::Relaxed);
        let steps = self.proxy.take_calls_that(|call| is_meant(call, &tables, writes)).len();
        assert!(steps >= 3, "{deed:?} takes {steps} calls");
        assert!(scene.is_whole(&self.mesh, people).await, "{deed:?} is done when it is acknowledged");
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

/// The calls that a deed consists of. What looks for pending events in the background is none of them.
fn is_meant(call: Call<'_>, tables: &[String; 2], writes: bool) -> bool {
    let is_read = matches!(call.operation, "GetItem" | "BatchGetItem" | "Query");
    tables.iter().any(|table| call.names(table))
        && !(call.operation == "Query" && call.names("pending"))
        && !(writes && is_read)
}

/// A therapist, the client who is booked, and one more who has asked.
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
struct Scene {
    session: String,
    start: Timestamp,
    /// The request of the client.
    appointment: String,
}

impl Scene {
    /// What must be there before the deed.
    async fn set(mesh: &TestMesh, people: &People, deed: Deed) -> Self {
        // A new hour for each.
        mesh.pass(Duration::from_millis(1));
        let hour = Duration::from_secs(3600);
        let ahead = mesh.clock.now().checked_add(hour * 24 + hour * next()).unwrap();
        let start = Timestamp::from_second(ahead.as_second() / 3600 * 3600).unwrap();
        let mut scene = Self { session: String::new(), start, appointment: String::new() };
        if deed == Deed::BookAtOnce {
            return scene;
        }
        let session =
            mesh.ask(Method::POST, "/sessions", Some(&people.therapist), Some(scene.draft())).await.expect(201);
        scene.session = text(&session, "sessionId");
        let ask = async |client: &Someone| {
            let wanted = json!({
                "therapistId": people.therapist.id, "sessionId": scene.session, "appointmentDate": start.to_string(),
            });
            text(
                &mesh.ask(Method::POST, "/appointments", Some(client), Some(wanted)).await.expect(201),
                "appointmentId",
            )
        };
        scene.appointment = ask(&people.client).await;
        ask(&people.other).await;
        if matches!(deed, Deed::Revoke | Deed::Cancel | Deed::Reopen | Deed::Delete) {
            scene.play(mesh, people, Deed::Accept).await.expect(200);
        }
        scene
    }

    fn draft(&self) -> Value {
        let end = &self.start.to_string()[11..13];
        json!({"sessionDate": self.start.to_string(), "endTime": format!("{end}:50"), "sharedNotes": "ours"})
    }

    async fn play(&self, mesh: &TestMesh, people: &People, deed: Deed) -> Answer {
        let session = format!("/sessions/{}", self.session);
        let status = format!("/appointments/{}/status", self.appointment);
        let put = async |path: &str, who: &Someone, status: &str| {
            mesh.ask(Method::PUT, path, Some(who), Some(json!({"status": status}))).await
        };
        match deed {
            Deed::Accept => put(&status, &people.therapist, "ACCEPTED").await,
            Deed::Revoke => put(&status, &people.client, "REVOKED").await,
            Deed::Cancel => put(&session, &people.therapist, "CANCELLED").await,
            Deed::Reopen => put(&session, &people.therapist, "AVAILABLE").await,
            Deed::Delete => mesh.ask(Method::DELETE, &session, Some(&people.therapist), None).await,
            Deed::EndRelation => {
                let path = format!("/mapping/{}?therapistId={}", people.client.id, people.therapist.id);
                mesh.ask(Method::DELETE, &path, Some(&people.client), None).await
            }
            Deed::BookAtOnce => {
                let mut draft = self.draft();
                draft["clientId"] = people.client.id.as_str().into();
                mesh.ask(Method::POST, "/sessions", Some(&people.therapist), Some(draft)).await
            }
        }
    }

    /// The session at that hour, if it is there, and the appointments for it.
    async fn look(&self, mesh: &TestMesh, people: &People) -> Option<(Value, Vec<Value>)> {
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

    /// The same, when nothing fails any more.
    async fn looked(&self, mesh: &TestMesh, people: &People) -> (Value, Vec<Value>) {
        loop {
            if let Some(seen) = self.look(mesh, people).await {
                return seen;
            }
        }
    }

    /// Never a booked slot without its appointment, never an accepted appointment without its slot, and nobody waits for what
    /// can't be had, nor for somebody with whom the relation is ended.
    async fn is_whole(&self, mesh: &TestMesh, people: &People) -> bool {
        let Some((session, appointments)) = self.look(mesh, people).await else { return false };
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

    /// Nobody waits for it any more: five may wait at a time.
    async fn clear(&self, mesh: &TestMesh, people: &People) {
        let (session, _) = self.looked(mesh, people).await;
        if let Some(id) = session["sessionId"].as_str() {
            let path = format!("/sessions/{id}");
            assert_eq!(mesh.ask(Method::DELETE, &path, Some(&people.therapist), None).await.status, 204);
        }
    }

    /// What was acknowledged is so.
    async fn is_as_was_told(&self, mesh: &TestMesh, people: &People, deed: Deed, answer: &Answer, what: &str) {
        assert!(
            answer.status < 300 || matches!(answer.status, 409 | 503 | 504),
            "{what}: {} {}",
            answer.status,
            answer.body
        );
        if answer.status >= 300 {
            return;
        }
        let (session, appointments) = self.looked(mesh, people).await;
        let own = appointments.iter().find(|it| it["clientId"] == people.client.id.as_str());
        let own = own.map_or("", |it| it["status"].as_str().unwrap());
        let found = (session["status"].as_str().unwrap_or("none"), own);
        let expected = match deed {
            Deed::Accept | Deed::BookAtOnce => ("BOOKED", "ACCEPTED"),
            Deed::Revoke | Deed::Reopen => ("AVAILABLE", "REVOKED"),
            Deed::Cancel => ("CANCELLED", "REVOKED"),
            Deed::Delete => ("none", "REVOKED"),
            Deed::EndRelation => ("AVAILABLE", ""),
        };
        assert_eq!(found, expected, "{what}");
    }
}

/// 1, 2 and so on, in this process.
fn next() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn text(answer: &Value, field: &str) -> String {
    answer[field].as_str().unwrap_or_else(|| panic!("no {field} in {answer}")).to_owned()
}

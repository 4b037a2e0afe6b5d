//! Tests of sessions, on both engines.

mod account_deletion;
mod lists;
mod model;
mod notes;
mod races;
mod saga;
mod text_marks;
mod texts;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chassis::client::Upstream;
use chassis::identity::Issuer;
use chassis::{Context, Platform, SystemEntropy, Tasks};
use dynamo::Table;
use dynamo::secret::{Secret, Secrets};
use jiff::tz::Offset;
use kernel::{AppointmentId, ClientId, Error, LoginId, ManualClock, Person, Role, SessionId, TherapistId, Timestamp};
use kernel::{Entropy, Expected, FreeText, UserId, Version};
use kit::engine::Engine;
use kit::peers::Peers;
use kit::subscriber::{Deliveries, Reaction, Subscriber, account_ended};
use outbox::Outbox;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use proto::events::v1::Event;
use subscriber::AccountDeletionPermit;

use crate::model::{Booking, Change, Draft, NotesChange, OwnSession, Reservation, Reserved, Status};
use crate::ops::Ops;
use crate::policy::{self, ClientPermit, Own, Side, SlotPermit};
use crate::slot::{Slot, SlotSpec};
use crate::{Deps, SESSIONS, ops, text_outbox};

/// Start of the clock in the year 2100, so that nothing that expires by it has expired by the engines' own clocks.
const NOW: i64 = 4_102_444_800;

/// Fixture: the use cases over a separate table and a manual clock, with fakes of vault, mapping, appointments and
/// search that a test controls.
struct World {
    ops: Arc<Ops>,
    text_outbox: Outbox,
    dynamodb: dynamo::Client,
    table: Table,
    clock: ManualClock,
    peers: Peers,
    deliveries: Deliveries,
    reactions: Arc<Mutex<Reactions>>,
    _subscribers: [Subscriber; 2],
}

/// Reactions of the subscribers to events.
struct Reactions {
    appointments: Reaction,
    search: Reaction,
}

impl World {
    async fn new(engine: Engine) -> Self {
        let dynamodb = engine.client().await;
        dynamodb.create_or_verify(&[&SESSIONS]).await.unwrap();
        let clock = ManualClock::new(Timestamp::from_second(NOW).unwrap());
        let shared = Arc::new(clock.clone());
        let tokens = Arc::new(Issuer::generate(shared.clone()).unwrap()).workload("sessions").tokens;
        let upstream = |url: &str| Upstream::new(url, tokens.clone(), kit::entropy::seeded()).unwrap();
        let peers = Peers::start().await;
        let deliveries = Deliveries::default();
        let reactions = Reactions { appointments: Reaction::Take, search: Reaction::Take };
        let reactions = Arc::new(Mutex::new(reactions));
        let of = Arc::clone(&reactions);
        let appointments = deliveries.subscriber("appointments", move |_| of.lock().unwrap().appointments).await;
        let of = Arc::clone(&reactions);
        let search = deliveries.subscriber("search", move |_| of.lock().unwrap().search).await;
        let deps = Deps {
            dynamodb: dynamodb.clone(),
            secrets: Secrets::new(Secret::new([7; 32]), vec![]),
            vault: upstream(&peers.url()),
            keyring: keyring::Config { data_key_life: Duration::from_secs(30) },
            mapping: upstream(&peers.url()),
            appointments: upstream(&appointments.url()),
            search: upstream(&search.url()),
            events: outbox::Config { recovery_interval: Duration::from_secs(10) },
            platform: Platform { clock: shared, entropy: Arc::new(SystemEntropy), tasks: Tasks::default() },
        };
        let table = dynamodb.table(&SESSIONS);
        let text_outbox = text_outbox(&deps);
        Self {
            ops: Arc::new(ops(deps, text_outbox.clone()).unwrap()),
            text_outbox,
            dynamodb,
            table,
            clock,
            peers,
            deliveries,
            reactions,
            _subscribers: [appointments, search],
        }
    }

    fn user(&self) -> UserId {
        UserId::generate(&self.clock, &SystemEntropy)
    }

    fn therapist(&self) -> Own {
        own(self.user().into())
    }

    fn client(&self) -> ClientPermit {
        client_permit(self.user().into())
    }

    fn appointments(&self, reaction: Reaction) {
        self.reactions.lock().unwrap().appointments = reaction;
    }

    fn search(&self, reaction: Reaction) {
        self.reactions.lock().unwrap().search = reaction;
    }

    /// Returns the events that appointments has taken.
    fn taken(&self) -> Vec<Event> {
        self.deliveries.taken_by("appointments")
    }

    async fn add(&self, permit: Own, slot: Slot, client: Option<ClientPermit>) -> Result<OwnSession, Error> {
        self.ops.create(&context(), permit, draft(slot, client, "", ""), None).await
    }

    async fn update(&self, permit: Own, id: SessionId, change: Change) -> Result<OwnSession, Error> {
        self.ops.update(&context(), permit, id, &change).await
    }

    async fn set(&self, permit: Own, id: SessionId, status: Status) -> Result<OwnSession, Error> {
        self.update(permit, id, Change { status: Some(status), ..Change::default() }).await
    }

    async fn reserve(&self, session: &OwnSession, client: ClientPermit, appointment: AppointmentId) -> Reserved {
        let wanted = Reservation {
            therapist: session.session.therapist,
            booking: Booking { client: client.client(), appointment },
            start: session.session.slot.start(),
        };
        self.ops.reserve(&context(), SlotPermit::of_appointments(session.session.id), wanted).await.unwrap()
    }

    async fn book(&self, session: &OwnSession, client: ClientPermit) -> AppointmentId {
        let appointment = self.appointment();
        assert_eq!(self.reserve(session, client, appointment).await, Reserved::Booked);
        appointment
    }

    async fn release(&self, session: &OwnSession, appointment: AppointmentId) {
        self.ops.release(SlotPermit::of_appointments(session.session.id), appointment).await.unwrap();
    }

    fn appointment(&self) -> AppointmentId {
        AppointmentId::generate(&self.clock, &SystemEntropy)
    }

    async fn read(&self, permit: Own, session: &OwnSession) -> Result<OwnSession, Error> {
        self.ops.own(&context(), permit, session.session.id).await
    }

    /// Returns every own session from the index.
    async fn all(&self, permit: Own) -> Vec<OwnSession> {
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            let query = lists::query(None, crate::model::Range::default(), 200, &token);
            let page = self.ops.list_own(&context(), permit, None, &query).await.unwrap();
            all.extend(page.items);
            match page.next {
                Some(next) => token = next,
                None => return all,
            }
        }
    }
}

fn context() -> Context {
    Context::background(Duration::from_secs(60))
}

fn expecting(expected: Expected) -> Context {
    let mut context = context();
    context.expected = expected;
    context
}

fn person(role: Role, user_id: UserId) -> Person {
    Person { user_id, role, login_id: LoginId::from_bytes([9; 16]) }
}

/// Returns the permit that the event of an account's end gives.
fn deleted(role: Role, id: UserId) -> AccountDeletionPermit {
    AccountDeletionPermit::from_proto(&account_ended(role, id), None).unwrap()
}

fn own(id: TherapistId) -> Own {
    policy::own(person(Role::Therapist, id.into()), "").unwrap()
}

fn client_permit(id: ClientId) -> ClientPermit {
    match policy::side(person(Role::Client, id.into())) {
        Side::Client(permit) => permit,
        Side::Therapist(_) => panic!("a client is a client"),
    }
}

/// Returns a slot that starts so many minutes after [`NOW`], which is a midnight of UTC, in an offset in which it lies
/// on one day.
fn slot(start: i64, minutes: i64) -> Slot {
    let at = |minute: i64| Timestamp::from_second(NOW + minute * 60).unwrap();
    let within_day = start.rem_euclid(1440) + minutes < 1440;
    let offset = Offset::constant(if within_day { 0 } else { 12 });
    let text = |instant: Timestamp| instant.display_with_offset(offset).to_string();
    let end = text(at(start + minutes));
    let slot =
        Slot::new(SlotSpec { date: text(at(start)).parse().unwrap(), start: None, end: end[11..16].parse().unwrap() });
    slot.unwrap_or_else(|(field, wrong)| panic!("{start} {minutes}: {field} {wrong}"))
}

/// Returns the change of a session's time to that of a slot.
fn at(slot: Slot) -> Change {
    let SlotSpec { date, start: _, end } = slot.spec();
    Change { date: Some(date), start: Some(slot.start_time()), end: Some(end), ..Change::default() }
}

fn text(text: &str) -> FreeText {
    FreeText::try_from(text.to_owned()).unwrap()
}

fn draft(slot: Slot, client: Option<ClientPermit>, shared: &str, private: &str) -> Draft {
    Draft { slot, client: client.map(ClientPermit::client), shared_notes: text(shared), private_notes: text(private) }
}

fn noted(shared: Option<&str>, private: Option<&str>) -> Change {
    Change { notes: NotesChange { shared: shared.map(text), private: private.map(text) }, ..Change::default() }
}

/// Returns the expectation of a change that names a version.
fn expected(version: Version) -> Expected {
    Expected::Anything.and_etag(&version.to_string()).unwrap()
}

fn reason<T>(outcome: &Result<T, Error>) -> &'static str {
    outcome.as_ref().err().map_or("", Error::reason)
}

/// Random number generator that prints its seed, so that a failure can be reproduced.
struct SeededRng(TestRunner);

impl SeededRng {
    fn new() -> Self {
        let entropy: &dyn Entropy = &SystemEntropy;
        let seed = entropy.array::<32>();
        println!("seed: {seed:?}");
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        Self(TestRunner::new_with_rng(Config::default(), rng))
    }

    /// Returns a number from 0 to `max`, excluded.
    fn below(&mut self, max: i64) -> i64 {
        (0..max).new_tree(&mut self.0).unwrap().current()
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[usize::try_from(self.below(i64::try_from(all.len()).unwrap())).unwrap()]
    }
}

//! Caller kinds, and the fixtures that their calls are about.

use kit::mesh::{Someone, TestMesh};
use proto::Caller;
use serde_json::Value;

use crate::matrix::rows::Row;
use crate::matrix::wire::Call;
use crate::practice::{Slot, change, decide, id_of};
use crate::steps::{Pair, entry};

/// A kind of caller. Therapists are named by their relation to the client of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallerKind {
    /// The client whom the call names.
    Client,
    /// A client whom the call doesn't name.
    OtherClient,
    /// Mapped, with access to the journal.
    Access,
    /// Mapped, without access.
    Mapped,
    /// Once mapped and with access.
    Formerly,
    /// With a mapping request that the client has not answered.
    Requested,
    /// Without any relation to the client.
    Unrelated,
    /// Mapped, with access; but the therapist whom the call names is another one, who has both too.
    OtherTherapist,
    /// Without any token.
    Nobody,
    /// A service that the rule doesn't name, on nobody's behalf.
    OtherService,
    /// A service that the rule names, on behalf of a therapist with access.
    NamedService,
}

/// Caller kinds in the order of the table's columns.
pub(crate) const CALLER_KINDS: [CallerKind; 11] = [
    CallerKind::Client,
    CallerKind::OtherClient,
    CallerKind::Access,
    CallerKind::Mapped,
    CallerKind::Formerly,
    CallerKind::Requested,
    CallerKind::Unrelated,
    CallerKind::OtherTherapist,
    CallerKind::Nobody,
    CallerKind::OtherService,
    CallerKind::NamedService,
];

/// A word of the entry of a fixture.
pub(crate) const ENTRY_WORD: &str = "matrix";

/// Relation between the client and the therapist of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    Unrelated,
    Requested,
    Mapped,
    Access,
    Formerly,
}

/// State between the client and the therapist besides their relation: of a session of the therapist, or of a
/// conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    Nothing,
    /// A session that is AVAILABLE.
    Available,
    /// One that the client has asked for.
    Asked,
    /// One that is BOOKED for the client.
    Booked,
    /// One that was BOOKED for the client until the client revoked the appointment.
    FormerlyBooked,
    /// One that was BOOKED for the client until the therapist cancelled it.
    Cancelled,
    /// A message that the client has sent.
    Thread,
}

/// Ids of the things in a setting; empty where there is none.
#[derive(Debug, Clone, Default)]
pub(crate) struct SettingIds {
    pub(crate) session_id: String,
    pub(crate) appointment_id: String,
    pub(crate) message_id: String,
}

/// People and things that a call is about.
#[derive(Clone)]
pub(crate) struct Fixture {
    pub(crate) client: Someone,
    pub(crate) therapist: Someone,
    /// Calling person, if it is one.
    pub(crate) caller: Option<Someone>,
    /// Person with an account and no profile; set in rows about newcomers.
    pub(crate) newcomer: Option<Someone>,
    /// Id of an entry of the client.
    pub(crate) entry_id: String,
    /// Valid entry that is not yet added.
    pub(crate) new_entry: Value,
    pub(crate) ids: SettingIds,
    /// Time of the session in the setting.
    pub(crate) slot: Slot,
    /// Time at which no therapist has a session.
    pub(crate) free: Slot,
    relation: Relation,
    /// True in a fixture for rows with a setting, in which contact may have been made.
    met: bool,
}

/// Fixture of one caller kind, reused until a call changes it.
pub(crate) struct Fixtures<'a> {
    mesh: &'a TestMesh,
    kind: CallerKind,
    fixture: Option<Fixture>,
    /// Setting of the present fixture.
    setting: Setting,
    /// Number of session times used so far.
    slots: usize,
}

impl CallerKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::OtherClient => "other client",
            Self::Access => "access",
            Self::Mapped => "mapped",
            Self::Formerly => "formerly",
            Self::Requested => "requested",
            Self::Unrelated => "unrelated",
            Self::OtherTherapist => "other therapist",
            Self::Nobody => "nobody",
            Self::OtherService => "other service",
            Self::NamedService => "named service",
        }
    }

    const fn relation(self, row: &Row) -> Relation {
        match self {
            Self::Client | Self::OtherClient | Self::Nobody | Self::OtherService => row.relation,
            Self::Access | Self::OtherTherapist | Self::NamedService => Relation::Access,
            Self::Mapped => Relation::Mapped,
            Self::Formerly => Relation::Formerly,
            Self::Requested => Relation::Requested,
            Self::Unrelated => Relation::Unrelated,
        }
    }

    /// Returns the kind of the calling person; `None` for a service and for nobody.
    const fn person(self) -> Option<Caller> {
        match self {
            Self::Client | Self::OtherClient => Some(Caller::Client),
            Self::Access | Self::Mapped | Self::Formerly | Self::Requested | Self::Unrelated | Self::OtherTherapist => {
                Some(Caller::Therapist)
            }
            Self::Nobody | Self::OtherService | Self::NamedService => None,
        }
    }
}

impl<'a> Fixtures<'a> {
    pub(crate) const fn new(mesh: &'a TestMesh, kind: CallerKind) -> Self {
        Self { mesh, kind, fixture: None, setting: Setting::Nothing, slots: 0 }
    }

    /// Returns the call of a row; `None` where there is no such caller.
    pub(crate) async fn call(&mut self, row: &Row) -> Option<Call> {
        let workload = if self.kind == CallerKind::NamedService {
            Some(*row.rpc.workloads.first()?)
        } else {
            (self.kind == CallerKind::OtherService).then_some("stranger")
        };
        let (relation, meets) = (self.kind.relation(row), row.setting != Setting::Nothing);
        let mut fixture =
            match self.fixture.take().filter(|fixture| fixture.relation == relation && fixture.met == meets) {
                Some(fixture) => fixture,
                None => {
                    self.setting = Setting::Nothing;
                    Fixture { met: meets, ..self.make(relation).await }
                }
            };
        if self.setting != row.setting {
            self.set(row.setting, &mut fixture).await;
        }
        fixture.free = self.next_slot();
        self.fixture = Some(fixture.clone());
        if row.newcomer {
            self.add_newcomer(row, &mut fixture).await;
        }
        let on_behalf = (self.kind == CallerKind::NamedService).then_some(&fixture.therapist);
        let person = fixture.caller.as_ref().or(on_behalf);
        let request = (row.request)(&fixture);
        Some(Call {
            about_nobody: about_nobody(&request, &fixture),
            request,
            person: person.map(|person| person.token.clone()),
            workload: workload.map(|name| self.mesh.workload_token(name)),
        })
    }

    /// Discards the setting that a call has changed, and without a setting the people too.
    pub(crate) fn invalidate(&mut self, row: &Row) {
        if row.setting == Setting::Nothing {
            self.fixture = None;
        }
        self.setting = Setting::Nothing;
    }

    fn next_slot(&mut self) -> Slot {
        self.slots += 1;
        Slot::new(self.mesh, self.slots)
    }

    async fn set(&mut self, setting: Setting, fixture: &mut Fixture) {
        let (mesh, slot) = (self.mesh, self.next_slot());
        let pair = Pair { client: fixture.client.clone(), therapist: fixture.therapist.clone() };
        if !fixture.ids.session_id.is_empty() {
            // Rejects its pending requests, which are limited to five.
            let before = format!("/sessions/{}", fixture.ids.session_id);
            mesh.ask(reqwest::Method::DELETE, &before, Some(&pair.therapist), None).await;
        }
        let (mut ids, book) = (SettingIds::default(), async |id: &str| pair.book(mesh, id, &slot).await);
        if !matches!(setting, Setting::Nothing | Setting::Thread) {
            ids.session_id = pair.offer(mesh, &slot).await;
        }
        let session = ids.session_id.as_str();
        match setting {
            Setting::Nothing | Setting::Available => {}
            Setting::Asked => {
                let asked = pair.ask_for(mesh, session, &slot).await.expect(201);
                ids.appointment_id = id_of(&asked, "appointmentId");
            }
            Setting::Booked => ids.appointment_id = book(session).await,
            Setting::FormerlyBooked => {
                ids.appointment_id = book(session).await;
                decide(mesh, &pair.client, &ids.appointment_id, "REVOKED").await.expect(200);
            }
            Setting::Cancelled => {
                ids.appointment_id = book(session).await;
                let cancelled = serde_json::json!({"status": "CANCELLED"});
                change(mesh, &pair.therapist, session, cancelled).await.expect(200);
            }
            Setting::Thread => {
                let said = pair.say(mesh, &pair.client, "written for the matrix").await.expect(201);
                ids.message_id = id_of(&said, "messageId");
            }
        }
        (fixture.ids, fixture.slot, self.setting) = (ids, slot, setting);
    }

    async fn make(&self, relation: Relation) -> Fixture {
        let mesh = self.mesh;
        let pair = Pair::strangers(mesh).await;
        let made = pair.write(mesh, entry(mesh, "calm", "written for the matrix")).await.expect(201);
        pair.until_found(mesh, ENTRY_WORD).await;
        relate(mesh, &pair, relation).await;
        let caller = match self.kind {
            CallerKind::Client => Some(pair.client.clone()),
            CallerKind::OtherClient => Some(mesh.client("Ben").await),
            CallerKind::OtherTherapist => {
                let other = mesh.therapist("Omar", "Sleep", "110001").await;
                let with_other = Pair { therapist: other.clone(), ..pair.clone() };
                relate(mesh, &with_other, Relation::Access).await;
                Some(other)
            }
            CallerKind::Access
            | CallerKind::Mapped
            | CallerKind::Formerly
            | CallerKind::Requested
            | CallerKind::Unrelated => Some(pair.therapist.clone()),
            CallerKind::Nobody | CallerKind::OtherService | CallerKind::NamedService => None,
        };
        Fixture {
            client: pair.client,
            therapist: pair.therapist,
            caller,
            newcomer: None,
            entry_id: made["entryId"].as_str().unwrap().to_owned(),
            new_entry: entry(mesh, "calm", "another one"),
            ids: SettingIds::default(),
            slot: Slot::new(mesh, 0),
            free: Slot::new(mesh, 0),
            relation,
            met: false,
        }
    }

    /// Adds a newcomer, as the caller if a person calls. Does nothing if the RPC isn't for callers of this kind.
    async fn add_newcomer(&self, row: &Row, fixture: &mut Fixture) {
        let role = match self.kind.person() {
            Some(kind) if !row.rpc.callers.contains(&kind) => return,
            Some(Caller::Therapist) => "THERAPIST",
            _ => "CLIENT",
        };
        let newcomer = self.mesh.join(role).await;
        if self.kind.person().is_some() {
            fixture.caller = Some(newcomer.clone());
        }
        fixture.newcomer = Some(newcomer);
    }
}

/// Returns the message with ids of missing people and things for those it names; `None` if it names the caller at most.
fn about_nobody(request: &Value, fixture: &Fixture) -> Option<Value> {
    let SettingIds { session_id, appointment_id, message_id } = &fixture.ids;
    let named = [
        (&fixture.client.id, "01933b5e-7a4c-7def-8abc-0123456789ab"),
        (&fixture.therapist.id, "01933b5e-7a4c-7def-8abc-0123456789ac"),
        (session_id, "01933b5e-7a4c-7def-8abc-0123456789ad"),
        (appointment_id, "01933b5e-7a4c-7def-8abc-0123456789ae"),
        (message_id, "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
    ];
    let caller = fixture.caller.as_ref().map(|caller| &caller.id);
    let mut text = request.to_string();
    for (id, nobody) in named {
        if caller != Some(id) && !id.is_empty() {
            text = text.replace(id.as_str(), nobody);
        }
    }
    let other = serde_json::from_str(&text).unwrap();
    (other != *request).then_some(other)
}

async fn relate(mesh: &TestMesh, pair: &Pair, relation: Relation) {
    match relation {
        Relation::Unrelated => {}
        Relation::Requested => {
            pair.request(mesh, "MAPPING").await.expect(201);
        }
        Relation::Mapped => {
            pair.map(mesh).await.expect(201);
        }
        Relation::Access => {
            pair.map(mesh).await.expect(201);
            pair.grant(mesh).await.expect(200);
        }
        Relation::Formerly => {
            pair.map(mesh).await.expect(201);
            pair.grant(mesh).await.expect(200);
            pair.end(mesh, &pair.client).await.expect(200);
        }
    }
}

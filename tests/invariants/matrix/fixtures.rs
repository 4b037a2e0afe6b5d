//! The kinds of callers, and the people whom each one's calls are about.

use kit::mesh::{Someone, TestMesh};
use proto::Caller;
use serde_json::Value;

use crate::matrix::rows::Row;
use crate::matrix::wire::Call;
use crate::practice::{Slot, change, decide, id_of};
use crate::steps::{Pair, entry};

/// A kind of caller. Those of therapists are named by their relation to the client of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
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
    /// Of whom the client has never heard.
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

/// The columns of the table.
pub(crate) const COLUMNS: [Column; 11] = [
    Column::Client,
    Column::OtherClient,
    Column::Access,
    Column::Mapped,
    Column::Formerly,
    Column::Requested,
    Column::Unrelated,
    Column::OtherTherapist,
    Column::Nobody,
    Column::OtherService,
    Column::NamedService,
];

/// How the client and the therapist of a call are related.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    Unrelated,
    Requested,
    Mapped,
    Access,
    Formerly,
}

/// What there is between the client and the therapist besides their relation: a session of the therapist, or a
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

/// What there is in a setting. Ids of what there is not are empty.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scene {
    pub(crate) session_id: String,
    pub(crate) appointment_id: String,
    pub(crate) message_id: String,
}

/// Whom a call is about.
#[derive(Clone)]
pub(crate) struct Cast {
    pub(crate) client: Someone,
    pub(crate) therapist: Someone,
    /// Who calls, if it is a person.
    pub(crate) caller: Option<Someone>,
    /// Somebody with an account and nothing else; there in the rows that are about newcomers.
    pub(crate) newcomer: Option<Someone>,
    /// An entry of the client.
    pub(crate) entry_id: String,
    /// An entry that the client could add.
    pub(crate) new_entry: Value,
    pub(crate) scene: Scene,
    /// When the session of the scene is.
    pub(crate) slot: Slot,
    /// When the therapist, and every other one, has time.
    pub(crate) free: Slot,
    relation: Relation,
    /// Whether contact may have been made: a setting is more than a relation.
    met: bool,
}

/// One kind of caller with its cast, which lives for as long as no call changes it.
pub(crate) struct Stage<'a> {
    mesh: &'a TestMesh,
    column: Column,
    cast: Option<Cast>,
    /// The setting that the cast is in.
    setting: Setting,
    /// How many times for sessions have been used.
    slots: usize,
}

impl Column {
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

    /// The kind of person that calls; none where a service or nobody does.
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

impl<'a> Stage<'a> {
    pub(crate) const fn new(mesh: &'a TestMesh, column: Column) -> Self {
        Self { mesh, column, cast: None, setting: Setting::Nothing, slots: 0 }
    }

    /// The call of a row; none where there is no such caller.
    pub(crate) async fn call(&mut self, row: &Row) -> Option<Call> {
        let workload = if self.column == Column::NamedService {
            Some(*row.rpc.workloads.first()?)
        } else {
            (self.column == Column::OtherService).then_some("stranger")
        };
        let (relation, meets) = (self.column.relation(row), row.setting != Setting::Nothing);
        let mut cast = match self.cast.take().filter(|cast| cast.relation == relation && cast.met == meets) {
            Some(cast) => cast,
            None => {
                self.setting = Setting::Nothing;
                Cast { met: meets, ..self.make(relation).await }
            }
        };
        if self.setting != row.setting {
            self.set(row.setting, &mut cast).await;
        }
        cast.free = self.next_slot();
        self.cast = Some(cast.clone());
        if row.newcomer {
            self.add_newcomer(row, &mut cast).await;
        }
        let on_behalf = (self.column == Column::NamedService).then_some(&cast.therapist);
        let person = cast.caller.as_ref().or(on_behalf);
        let request = (row.request)(&cast);
        Some(Call {
            about_nobody: about_nobody(&request, &cast),
            request,
            person: person.map(|person| person.token.clone()),
            workload: workload.map(|name| self.mesh.workload_token(name)),
        })
    }

    /// What the call of a row was about is not what it was: in a setting the people stay, and another one is made.
    pub(crate) fn spent(&mut self, row: &Row) {
        if row.setting == Setting::Nothing {
            self.cast = None;
        }
        self.setting = Setting::Nothing;
    }

    fn next_slot(&mut self) -> Slot {
        self.slots += 1;
        Slot::new(self.mesh, self.slots)
    }

    async fn set(&mut self, setting: Setting, cast: &mut Cast) {
        let (mesh, slot) = (self.mesh, self.next_slot());
        let pair = Pair { client: cast.client.clone(), therapist: cast.therapist.clone() };
        if !cast.scene.session_id.is_empty() {
            // Whoever still waits for it is rejected: five may wait at a time.
            let before = format!("/sessions/{}", cast.scene.session_id);
            mesh.ask(reqwest::Method::DELETE, &before, Some(&pair.therapist), None).await;
        }
        let (mut scene, book) = (Scene::default(), async |id: &str| pair.book(mesh, id, &slot).await);
        if !matches!(setting, Setting::Nothing | Setting::Thread) {
            scene.session_id = pair.offer(mesh, &slot).await;
        }
        let session = scene.session_id.as_str();
        match setting {
            Setting::Nothing | Setting::Available => {}
            Setting::Asked => {
                let asked = pair.ask_for(mesh, session, &slot).await.expect(201);
                scene.appointment_id = id_of(&asked, "appointmentId");
            }
            Setting::Booked => scene.appointment_id = book(session).await,
            Setting::FormerlyBooked => {
                scene.appointment_id = book(session).await;
                decide(mesh, &pair.client, &scene.appointment_id, "REVOKED").await.expect(200);
            }
            Setting::Cancelled => {
                scene.appointment_id = book(session).await;
                let cancelled = serde_json::json!({"status": "CANCELLED"});
                change(mesh, &pair.therapist, session, cancelled).await.expect(200);
            }
            Setting::Thread => {
                let said = pair.say(mesh, &pair.client, "written for the matrix").await.expect(201);
                scene.message_id = id_of(&said, "messageId");
            }
        }
        (cast.scene, cast.slot, self.setting) = (scene, slot, setting);
    }

    async fn make(&self, relation: Relation) -> Cast {
        let mesh = self.mesh;
        let pair = Pair::strangers(mesh).await;
        let made = pair.write(mesh, entry(mesh, "calm", "written for the matrix")).await.expect(201);
        relate(mesh, &pair, relation).await;
        let caller = match self.column {
            Column::Client => Some(pair.client.clone()),
            Column::OtherClient => Some(mesh.client("Ben").await),
            Column::OtherTherapist => {
                let other = mesh.therapist("Omar", "Sleep", "110001").await;
                let with_other = Pair { therapist: other.clone(), ..pair.clone() };
                relate(mesh, &with_other, Relation::Access).await;
                Some(other)
            }
            Column::Access | Column::Mapped | Column::Formerly | Column::Requested | Column::Unrelated => {
                Some(pair.therapist.clone())
            }
            Column::Nobody | Column::OtherService | Column::NamedService => None,
        };
        Cast {
            client: pair.client,
            therapist: pair.therapist,
            caller,
            newcomer: None,
            entry_id: made["entryId"].as_str().unwrap().to_owned(),
            new_entry: entry(mesh, "calm", "another one"),
            scene: Scene::default(),
            slot: Slot::new(mesh, 0),
            free: Slot::new(mesh, 0),
            relation,
            met: false,
        }
    }

    /// In a row about newcomers who calls is one, where the RPC is for such people at all.
    async fn add_newcomer(&self, row: &Row, cast: &mut Cast) {
        let role = match self.column.person() {
            Some(kind) if !row.rpc.callers.contains(&kind) => return,
            Some(Caller::Therapist) => "THERAPIST",
            _ => "CLIENT",
        };
        let newcomer = self.mesh.join(role).await;
        if self.column.person().is_some() {
            cast.caller = Some(newcomer.clone());
        }
        cast.newcomer = Some(newcomer);
    }
}

/// A message about people and things that don't exist, where it names others than the caller.
fn about_nobody(request: &Value, cast: &Cast) -> Option<Value> {
    let Scene { session_id, appointment_id, message_id } = &cast.scene;
    let named = [
        (&cast.client.id, "01933b5e-7a4c-7def-8abc-0123456789ab"),
        (&cast.therapist.id, "01933b5e-7a4c-7def-8abc-0123456789ac"),
        (session_id, "01933b5e-7a4c-7def-8abc-0123456789ad"),
        (appointment_id, "01933b5e-7a4c-7def-8abc-0123456789ae"),
        (message_id, "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
    ];
    let caller = cast.caller.as_ref().map(|caller| &caller.id);
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

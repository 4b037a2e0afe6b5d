//! What is called: one row per RPC, or several where one RPC answers by different rules.

use kit::mesh::PASSWORD;
use proto::Rpc;
use serde_json::{Value, json};

use crate::matrix::fixtures::{Cast, Relation, Setting};
use crate::matrix::practice;

/// One row of the table.
pub(crate) struct Row {
    pub(crate) rpc: &'static Rpc,
    /// The service that is called.
    pub(crate) service: &'static str,
    /// What tells it from other rows of the same RPC.
    with: &'static str,
    /// How client and therapist are related where the column doesn't say.
    pub(crate) relation: Relation,
    /// What there is between the two besides.
    pub(crate) setting: Setting,
    /// Whether a success changes the people whom it is about.
    pub(crate) changes: bool,
    /// Whether it is about somebody who has an account and nothing else.
    pub(crate) newcomer: bool,
    /// The message, as JSON.
    pub(crate) request: fn(&Cast) -> Value,
}

impl Row {
    /// What stands before its cells.
    pub(crate) fn name(&self) -> String {
        let rpc = self.rpc.path.trim_start_matches("/therapy.");
        if self.with.is_empty() { rpc.to_owned() } else { format!("{rpc}, {}", self.with) }
    }

    pub(crate) fn with(self, with: &'static str) -> Self {
        Self { with, ..self }
    }

    pub(crate) fn setting(self, setting: Setting) -> Self {
        Self { setting, ..self }
    }

    /// For what more than one service serves.
    pub(crate) fn at(self, service: &'static str) -> Self {
        Self { service, with: service, ..self }
    }

    pub(crate) fn changes(self) -> Self {
        Self { changes: true, ..self }
    }

    fn between(self, relation: Relation) -> Self {
        Self { relation, ..self }
    }

    pub(crate) fn newcomer(self) -> Self {
        Self { newcomer: true, ..self }
    }
}

pub(crate) fn row(rpc: &'static str, request: fn(&Cast) -> Value) -> Row {
    let rpc = Rpc::find(rpc).unwrap_or_else(|| panic!("there is no RPC {rpc}: take its row out of the matrix"));
    let service = rpc.path.split('.').nth(1).unwrap_or_default();
    let (relation, setting) = (Relation::Access, Setting::Nothing);
    Row { rpc, service, with: "", relation, setting, changes: false, newcomer: false, request }
}

/// All of them, in the order in which they are played.
pub(crate) fn rows() -> Vec<Row> {
    let before = [audit(), clients(), journals(), mapping(), consent(), therapists(), internal()];
    before.into_iter().flatten().chain(practice::rows()).chain(auth()).collect()
}

pub(crate) fn client(cast: &Cast) -> Value {
    json!({"clientId": cast.client.id})
}

pub(crate) fn therapist(cast: &Cast) -> Value {
    json!({"therapistId": cast.therapist.id})
}

fn both(cast: &Cast) -> Value {
    json!({"clientId": cast.client.id, "therapistId": cast.therapist.id})
}

fn both_and(cast: &Cast, field: &str, value: Value) -> Value {
    let mut message = both(cast);
    message[field] = value;
    message
}

fn entry(cast: &Cast) -> Value {
    json!({"clientId": cast.client.id, "entryId": cast.entry_id})
}

pub(crate) fn nothing(_: &Cast) -> Value {
    json!({})
}

fn email(cast: &Cast) -> &str {
    let caller = cast.newcomer.as_ref().or(cast.caller.as_ref());
    caller.map_or("nobody@example.org", |caller| &caller.email)
}

fn audit() -> Vec<Row> {
    vec![
        row("/therapy.audit.v1.AccessLogService/ListAccesses", client),
        row(
            "/therapy.audit.v1.AuditService/RecordAccess",
            |cast| json!({"clientId": cast.client.id, "action": "LIST", "entryCount": 1, "grantId": "a grant"}),
        ),
    ]
}

fn clients() -> Vec<Row> {
    vec![
        row(
            "/therapy.clients.v1.ClientService/CreateClient",
            |cast| json!({"client": {"name": "Asha", "email": email(cast), "pincode": "110001"}}),
        )
        .newcomer(),
        row("/therapy.clients.v1.ClientService/GetClient", client),
        row("/therapy.clients.v1.ClientService/ListClients", nothing),
        row("/therapy.clients.v1.ClientService/ListClients", |cast| json!({"email": cast.client.email}))
            .with("by address"),
        row("/therapy.clients.v1.ClientService/UpdateClient", |cast| {
            let profile = json!({"name": "Asha Rao", "email": cast.client.email, "pincode": "110001"});
            json!({"clientId": cast.client.id, "client": profile})
        }),
        row("/therapy.clients.v1.ClientService/DeleteClient", client).changes(),
        row("/therapy.clients.v1.ClientNameService/BatchGetClientNames", |cast| json!({"clientIds": [cast.client.id]})),
    ]
}

fn journals() -> Vec<Row> {
    vec![
        row("/therapy.journals.v1.JournalService/GetVocabulary", nothing),
        row("/therapy.journals.v1.JournalService/ListEntries", client),
        row("/therapy.journals.v1.JournalService/GetEntry", entry),
        row("/therapy.journals.v1.JournalService/GetInsights", client),
        row(
            "/therapy.journals.v1.JournalService/CreateEntry",
            |cast| json!({"clientId": cast.client.id, "entry": cast.new_entry}),
        )
        .changes(),
        row(
            "/therapy.journals.v1.JournalService/UpdateEntry",
            |cast| json!({"clientId": cast.client.id, "entryId": cast.entry_id, "entry": {"note": "corrected"}}),
        ),
        row("/therapy.journals.v1.JournalService/DeleteEntry", entry).changes(),
    ]
}

fn mapping() -> Vec<Row> {
    vec![
        row(
            "/therapy.mapping.v1.InvitationService/CreateInvitation",
            |cast| json!({"email": cast.client.email, "requestType": "MAPPING"}),
        ),
        row("/therapy.mapping.v1.MappingService/ListMappings", client),
        row("/therapy.mapping.v1.MappingService/ListConsentRequests", client),
        row("/therapy.mapping.v1.MappingService/ListRelatedTherapists", client),
        row("/therapy.mapping.v1.MappingService/ListRelatedClients", therapist),
        row("/therapy.mapping.v1.MappingService/CreateMapping", both).between(Relation::Unrelated).changes(),
        row("/therapy.mapping.v1.MappingService/MapClient", both).between(Relation::Unrelated).changes(),
        row("/therapy.mapping.v1.MappingService/RequestConsent", |cast| {
            both_and(cast, "requestType", "MAPPING".into())
        })
        .with("a mapping")
        .changes(),
        row("/therapy.mapping.v1.MappingService/RequestConsent", |cast| {
            both_and(cast, "requestType", "JOURNAL_ACCESS".into())
        })
        .with("access")
        .changes(),
        row("/therapy.mapping.v1.MappingService/AnswerMappingRequest", |cast| {
            both_and(cast, "answer", json!({"status": "ACCEPTED"}))
        })
        .between(Relation::Requested)
        .changes(),
        row("/therapy.mapping.v1.MappingService/UpdateJournalAccess", |cast| {
            both_and(cast, "change", json!({"access": "ACCEPTED"}))
        })
        .between(Relation::Mapped)
        .changes(),
        row("/therapy.mapping.v1.MappingService/EndJournalAccess", both).changes(),
        row("/therapy.mapping.v1.MappingService/EndMapping", both).changes(),
    ]
}

fn consent() -> Vec<Row> {
    vec![
        row("/therapy.mapping.v1.ConsentService/CheckJournalAccess", client),
        row("/therapy.mapping.v1.ConsentService/CheckRelation", client),
        row("/therapy.mapping.v1.ConsentService/ListAgreedClients", |_| json!({"pageSize": 10})),
        row(
            "/therapy.mapping.v1.ConsentService/RecordContact",
            |cast| json!({"peerId": cast.client.id, "kind": "MESSAGE"}),
        )
        .changes(),
    ]
}

fn therapists() -> Vec<Row> {
    vec![
        row("/therapy.therapists.v1.TherapistService/CreateTherapist", |cast| {
            let profile = json!({"name": "Noor", "email": email(cast), "specialty": "Grief", "pincode": "110001"});
            json!({"therapist": profile})
        })
        .newcomer(),
        row("/therapy.therapists.v1.TherapistService/GetTherapist", therapist),
        row("/therapy.therapists.v1.TherapistService/ListTherapists", |_| json!({"pageSize": 1})),
        row("/therapy.therapists.v1.TherapistService/UpdateTherapist", |cast| {
            let email = &cast.therapist.email;
            let profile = json!({"name": "Noor Haddad", "email": email, "specialty": "Grief", "pincode": "110001"});
            json!({"therapistId": cast.therapist.id, "therapist": profile})
        }),
        row("/therapy.therapists.v1.TherapistService/DeleteTherapist", therapist).changes(),
        row(
            "/therapy.therapists.v1.TherapistNameService/BatchGetTherapistNames",
            |cast| json!({"therapistIds": [cast.therapist.id]}),
        ),
    ]
}

fn internal() -> Vec<Row> {
    let deliver = || {
        row("/therapy.events.v1.SubscriberService/Deliver", |cast| {
            let ended = json!({"userId": newcomer_id(cast), "role": "CLIENT"});
            let id = "01933b5e-7a4c-7def-8abc-0123456789ab";
            json!({"event": {"id": id, "time": "2100-01-01T00:00:00Z", "accountEnded": ended}})
        })
        .newcomer()
    };
    vec![
        row("/therapy.vault.v1.VaultService/GetDataKey", |cast| json!({"personId": cast.client.id})),
        row("/therapy.vault.v1.VaultService/BatchGetDataKeys", |cast| json!({"personIds": [cast.client.id]})),
        row(
            "/therapy.auth.v1.LoginService/ListEndedLogins",
            |cast| json!({"logins": [{"userId": cast.client.id, "loginId": "01933b5e-7a4c-7def-8abc-0123456789ab"}]}),
        ),
        row("/therapy.auth.v1.AccountService/GetOwnAddress", nothing),
        // Served by whoever subscribes: the others say that they don't know it.
        deliver().at("appointments"),
        deliver().at("audit"),
        deliver().at("auth"),
        deliver().at("clients"),
        deliver().at("journals"),
        deliver().at("mapping"),
        deliver().at("messages"),
        deliver().at("sessions"),
        deliver().at("therapists"),
        deliver().at("vault"),
    ]
}

fn newcomer_id(cast: &Cast) -> &str {
    &cast.newcomer.as_ref().unwrap_or(&cast.client).id
}

/// Last: they change the logins of those who call.
fn auth() -> Vec<Row> {
    vec![
        row("/therapy.auth.v1.AuthService/GetJwks", nothing),
        row("/therapy.auth.v1.AuthService/GetMe", nothing),
        row(
            "/therapy.auth.v1.AuthService/Register",
            |cast| json!({"email": format!("new.{}", cast.client.email), "password": PASSWORD, "role": "CLIENT"}),
        ),
        row("/therapy.auth.v1.AuthService/Login", |cast| json!({"email": cast.client.email, "password": PASSWORD})),
        row("/therapy.auth.v1.AuthService/Refresh", |cast| json!({"refreshToken": cast.client.refresh})),
        row(
            "/therapy.auth.v1.AuthService/ChangePassword",
            |_| json!({"currentPassword": PASSWORD, "newPassword": "eight loud sparrows"}),
        ),
        row("/therapy.auth.v1.AuthService/Logout", nothing),
    ]
}

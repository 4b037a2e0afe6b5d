//! Rows of the matrix: one per RPC, or several where an RPC answers by different rules.

use kit::mesh::PASSWORD;
use proto::Rpc;
use serde_json::{Value, json};

use crate::matrix::fixtures::{ENTRY_WORD, Fixture, Relation, Setting};
use crate::matrix::practice;
use crate::steps::CLIENT_NAME;

/// One row of the table.
pub(crate) struct Row {
    pub(crate) rpc: &'static Rpc,
    /// Called service.
    pub(crate) service: &'static str,
    /// Label among rows of the same RPC.
    with: &'static str,
    /// Relation of client and therapist for caller kinds that don't imply one.
    pub(crate) relation: Relation,
    /// State between the two besides their relation.
    pub(crate) setting: Setting,
    /// True if a success changes the fixture.
    pub(crate) changes: bool,
    /// True if the call is about a person without a profile.
    pub(crate) newcomer: bool,
    /// Builds the message, as JSON.
    pub(crate) request: fn(&Fixture) -> Value,
}

impl Row {
    /// Returns the label before its cells.
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

    /// Sets the service, for an RPC that several services serve.
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

pub(crate) fn row(rpc: &'static str, request: fn(&Fixture) -> Value) -> Row {
    let rpc = Rpc::find(rpc).unwrap_or_else(|| panic!("there is no RPC {rpc}: take its row out of the matrix"));
    let service = rpc.path.split('.').nth(1).unwrap_or_default();
    let (relation, setting) = (Relation::Access, Setting::Nothing);
    Row { rpc, service, with: "", relation, setting, changes: false, newcomer: false, request }
}

/// Returns all rows in the order of the calls.
pub(crate) fn rows() -> Vec<Row> {
    let before = [search(), audit(), clients(), journals(), mapping(), consent(), therapists(), internal()];
    before.into_iter().flatten().chain(practice::rows()).chain(auth()).collect()
}

pub(crate) fn client(fixture: &Fixture) -> Value {
    json!({"clientId": fixture.client.id})
}

pub(crate) fn therapist(fixture: &Fixture) -> Value {
    json!({"therapistId": fixture.therapist.id})
}

fn both(fixture: &Fixture) -> Value {
    json!({"clientId": fixture.client.id, "therapistId": fixture.therapist.id})
}

fn both_and(fixture: &Fixture, field: &str, value: Value) -> Value {
    let mut message = both(fixture);
    message[field] = value;
    message
}

fn entry(fixture: &Fixture) -> Value {
    json!({"clientId": fixture.client.id, "entryId": fixture.entry_id})
}

pub(crate) fn nothing(_: &Fixture) -> Value {
    json!({})
}

fn email(fixture: &Fixture) -> &str {
    let caller = fixture.newcomer.as_ref().or(fixture.caller.as_ref());
    caller.map_or("nobody@example.org", |caller| &caller.email)
}

/// Returns the rows of searches, which run first: other rows change the entry that they find.
fn search() -> Vec<Row> {
    const SEARCH: &str = "/therapy.search.v1.SearchService/Search";
    vec![
        row(SEARCH, |_| json!({"q": ENTRY_WORD})).with("all"),
        row(SEARCH, |fixture| json!({"q": ENTRY_WORD, "clientId": fixture.client.id})).with("the client's"),
        row(SEARCH, |_| json!({"q": CLIENT_NAME, "in": ["CLIENTS"]})).with("clients by name"),
    ]
}

fn audit() -> Vec<Row> {
    vec![
        row("/therapy.audit.v1.AccessLogService/ListAccesses", client),
        row(
            "/therapy.audit.v1.AuditService/RecordAccess",
            |fixture| json!({"clientId": fixture.client.id, "action": "LIST", "entryCount": 1, "grantId": "a grant"}),
        ),
        row("/therapy.audit.v1.AuditService/BatchRecordAccesses", |fixture| {
            let access = |count| json!({"clientId": fixture.client.id, "action": "SEARCH", "entryCount": count, "grantId": "a grant"});
            json!({"accesses": [access(1), access(2)]})
        }),
    ]
}

fn clients() -> Vec<Row> {
    vec![
        row(
            "/therapy.clients.v1.ClientService/CreateClient",
            |fixture| json!({"client": {"name": "Asha", "email": email(fixture), "pincode": "110001"}}),
        )
        .newcomer(),
        row("/therapy.clients.v1.ClientService/GetClient", client),
        row("/therapy.clients.v1.ClientService/ListClients", nothing),
        row("/therapy.clients.v1.ClientService/ListClients", |fixture| json!({"email": fixture.client.email}))
            .with("by address"),
        row("/therapy.clients.v1.ClientService/UpdateClient", |fixture| {
            let profile = json!({"name": "Asha Rao", "email": fixture.client.email, "pincode": "110001"});
            json!({"clientId": fixture.client.id, "client": profile})
        }),
        row("/therapy.clients.v1.ClientService/DeleteClient", client).changes(),
        row(
            "/therapy.clients.v1.ClientNameService/BatchGetClientNames",
            |fixture| json!({"clientIds": [fixture.client.id]}),
        ),
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
            |fixture| json!({"clientId": fixture.client.id, "entry": fixture.new_entry}),
        )
        .changes(),
        row(
            "/therapy.journals.v1.JournalService/UpdateEntry",
            |it| json!({"clientId": it.client.id, "entryId": it.entry_id, "entry": {"note": "corrected"}}),
        ),
        row("/therapy.journals.v1.EntryTextService/GetEntryText", |fixture| json!({"name": entry(fixture)})),
        row(
            "/therapy.journals.v1.EntryTextService/BatchGetReadableEntries",
            |fixture| json!({"names": [entry(fixture)]}),
        ),
        row("/therapy.journals.v1.JournalService/DeleteEntry", entry).changes(),
    ]
}

fn mapping() -> Vec<Row> {
    vec![
        row(
            "/therapy.mapping.v1.InvitationService/CreateInvitation",
            |fixture| json!({"email": fixture.client.email, "requestType": "MAPPING"}),
        ),
        row("/therapy.mapping.v1.MappingService/ListMappings", client),
        row("/therapy.mapping.v1.MappingService/ListConsentRequests", client),
        row("/therapy.mapping.v1.MappingService/ListRelatedTherapists", client),
        row("/therapy.mapping.v1.MappingService/ListRelatedClients", therapist),
        row("/therapy.mapping.v1.MappingService/CreateMapping", both).between(Relation::Unrelated).changes(),
        row("/therapy.mapping.v1.MappingService/MapClient", both).between(Relation::Unrelated).changes(),
        row("/therapy.mapping.v1.MappingService/RequestConsent", |fixture| {
            both_and(fixture, "requestType", "MAPPING".into())
        })
        .with("a mapping")
        .changes(),
        row("/therapy.mapping.v1.MappingService/RequestConsent", |fixture| {
            both_and(fixture, "requestType", "JOURNAL_ACCESS".into())
        })
        .with("access")
        .changes(),
        row("/therapy.mapping.v1.MappingService/AnswerMappingRequest", |fixture| {
            both_and(fixture, "answer", json!({"status": "ACCEPTED"}))
        })
        .between(Relation::Requested)
        .changes(),
        row("/therapy.mapping.v1.MappingService/UpdateJournalAccess", |fixture| {
            both_and(fixture, "change", json!({"access": "ACCEPTED"}))
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
        row(
            "/therapy.mapping.v1.ConsentService/BatchCheckJournalAccess",
            |fixture| json!({"clientIds": [fixture.client.id]}),
        ),
        row("/therapy.mapping.v1.ConsentService/ListSearchableClients", nothing),
        row("/therapy.mapping.v1.ConsentService/CheckRelation", client),
        row("/therapy.mapping.v1.ConsentService/ListAgreedClients", |_| json!({"pageSize": 10})),
        row(
            "/therapy.mapping.v1.ConsentService/RecordContact",
            |fixture| json!({"peerId": fixture.client.id, "kind": "MESSAGE"}),
        )
        .changes(),
    ]
}

fn therapists() -> Vec<Row> {
    vec![
        row("/therapy.therapists.v1.TherapistService/CreateTherapist", |fixture| {
            let profile = json!({"name": "Noor", "email": email(fixture), "specialty": "Grief", "pincode": "110001"});
            json!({"therapist": profile})
        })
        .newcomer(),
        row("/therapy.therapists.v1.TherapistService/GetTherapist", therapist),
        row("/therapy.therapists.v1.TherapistService/ListTherapists", |_| json!({"pageSize": 1})),
        row("/therapy.therapists.v1.TherapistService/UpdateTherapist", |fixture| {
            let email = &fixture.therapist.email;
            let profile = json!({"name": "Noor Haddad", "email": email, "specialty": "Grief", "pincode": "110001"});
            json!({"therapistId": fixture.therapist.id, "therapist": profile})
        }),
        row("/therapy.therapists.v1.TherapistService/DeleteTherapist", therapist).changes(),
        row(
            "/therapy.therapists.v1.TherapistNameService/BatchGetTherapistNames",
            |fixture| json!({"therapistIds": [fixture.therapist.id]}),
        ),
    ]
}

fn internal() -> Vec<Row> {
    let deliver = || {
        row("/therapy.events.v1.SubscriberService/Deliver", |fixture| {
            let ended = json!({"userId": newcomer_id(fixture), "role": "CLIENT"});
            let id = "01933b5e-7a4c-7def-8abc-0123456789ab";
            json!({"event": {"id": id, "time": "2100-01-01T00:00:00Z", "accountEnded": ended}})
        })
        .newcomer()
    };
    vec![
        row("/therapy.vault.v1.VaultService/GetDataKey", |fixture| json!({"personId": fixture.client.id})),
        row("/therapy.vault.v1.VaultService/BatchGetDataKeys", |fixture| json!({"personIds": [fixture.client.id]})),
        row(
            "/therapy.auth.v1.LoginService/ListEndedLogins",
            |it| json!({"logins": [{"userId": it.client.id, "loginId": "01933b5e-7a4c-7def-8abc-0123456789ab"}]}),
        ),
        row("/therapy.auth.v1.AccountService/GetOwnAddress", nothing),
        // Subscribers serve it; the others answer that it is unimplemented.
        deliver().at("appointments"),
        deliver().at("audit"),
        deliver().at("auth"),
        deliver().at("clients"),
        deliver().at("journals"),
        deliver().at("mapping"),
        deliver().at("messages"),
        deliver().at("search"),
        deliver().at("sessions"),
        deliver().at("therapists"),
        deliver().at("vault"),
    ]
}

fn newcomer_id(fixture: &Fixture) -> &str {
    &fixture.newcomer.as_ref().unwrap_or(&fixture.client).id
}

/// Returns the rows of auth, which run last since they change the callers' logins.
fn auth() -> Vec<Row> {
    vec![
        row("/therapy.auth.v1.AuthService/GetJwks", nothing),
        row("/therapy.auth.v1.AuthService/GetMe", nothing),
        row(
            "/therapy.auth.v1.AuthService/Register",
            |fixture| json!({"email": format!("new.{}", fixture.client.email), "password": PASSWORD, "role": "CLIENT"}),
        ),
        row(
            "/therapy.auth.v1.AuthService/Login",
            |fixture| json!({"email": fixture.client.email, "password": PASSWORD}),
        ),
        row("/therapy.auth.v1.AuthService/Refresh", |fixture| json!({"refreshToken": fixture.client.refresh})),
        row(
            "/therapy.auth.v1.AuthService/ChangePassword",
            |_| json!({"currentPassword": PASSWORD, "newPassword": "eight loud sparrows"}),
        ),
        row("/therapy.auth.v1.AuthService/Logout", nothing),
    ]
}

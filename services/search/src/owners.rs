//! Clients of the services that own the texts, the relations and the access log.

use chassis::Context;
use chassis::client::Upstream;
use kernel::{ClientId, Error, Result, SessionId};
use proto::audit::v1::audit_service_client::AuditServiceClient;
use proto::audit::v1::{BatchRecordAccessesRequest, RecordAccessRequest, access};
use proto::journals::v1 as journals;
use proto::journals::v1::entry_text_service_client::EntryTextServiceClient;
use proto::mapping::v1::consent_service_client::ConsentServiceClient;
use proto::mapping::v1::{JournalGrant, ListSearchableClientsRequest, SearchableClient};
use proto::sessions::v1 as sessions;
use proto::sessions::v1::notes_text_service_client::NotesTextServiceClient;
use ulid::Ulid;

use crate::error::too_many_clients;
use crate::model::{EntryName, EntryText, Notes, ReadableEntry};

/// Maximum entries of one call: their texts fit in an answer.
const MAX_ENTRIES: usize = 100;
/// Maximum sessions of one call, each of which has two notes.
const MAX_SESSIONS: usize = 50;
/// Maximum accesses of one call.
const MAX_ACCESSES: usize = 100;

/// The upstreams.
#[derive(Debug, Clone)]
pub(crate) struct Owners {
    pub(crate) journals: Upstream,
    pub(crate) sessions: Upstream,
    pub(crate) mapping: Upstream,
    pub(crate) audit: Upstream,
}

/// A client among whose texts the calling therapist may search.
pub(crate) struct Searchable {
    pub(crate) client: ClientId,
    /// Milliseconds since 1970 since which the client has agreed to the relation, if that was asked for.
    pub(crate) agreed_since: Option<i64>,
    /// The first millisecond since 1970 of the journal that may be read; `None` when nothing may.
    pub(crate) journal_from: Option<i64>,
}

/// Entries of a client's journal in one answer, to be recorded in the access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Disclosure {
    pub(crate) client: ClientId,
    pub(crate) grant: String,
    pub(crate) entries: usize,
}

impl Owners {
    /// Returns an entry as it is now; `None` if there is none any more.
    pub(crate) async fn entry(&self, context: &Context, name: EntryName) -> Result<Option<EntryText>> {
        let request = journals::GetEntryTextRequest { name: Some(to_proto(name)) };
        let get =
            |transport, request| async move { EntryTextServiceClient::new(transport).get_entry_text(request).await };
        self.journals.call(context, request, get).await?.entry.map(entry).transpose()
    }

    /// Returns those of these entries that the caller may read now.
    pub(crate) async fn readable_entries(&self, context: &Context, names: &[EntryName]) -> Result<Vec<ReadableEntry>> {
        let mut readable = Vec::new();
        for names in names.chunks(MAX_ENTRIES) {
            let names = names.iter().copied().map(to_proto).collect();
            let request = journals::BatchGetReadableEntriesRequest { names };
            let get = |transport, request| async move {
                EntryTextServiceClient::new(transport).batch_get_readable_entries(request).await
            };
            for journals::ReadableEntry { text, grant_id } in self.journals.call(context, request, get).await?.entries {
                let text = text.ok_or_else(|| Error::internal("journals answers an entry without text"))?;
                readable.push(ReadableEntry { entry: entry(text)?, grant: grant_id });
            }
        }
        Ok(readable)
    }

    /// Returns the notes of a session as they are now; `None` if there is no such session any more.
    pub(crate) async fn notes(&self, context: &Context, session: SessionId) -> Result<Option<Notes>> {
        let request = sessions::GetNotesTextRequest { session_id: session.to_string() };
        let get =
            |transport, request| async move { NotesTextServiceClient::new(transport).get_notes_text(request).await };
        self.sessions.call(context, request, get).await?.notes.map(notes).transpose()
    }

    /// Returns the notes of those of these sessions that the caller may read now.
    pub(crate) async fn readable_notes(&self, context: &Context, ids: &[SessionId]) -> Result<Vec<Notes>> {
        let mut readable = Vec::new();
        for ids in ids.chunks(MAX_SESSIONS) {
            let session_ids = ids.iter().map(ToString::to_string).collect();
            let request = sessions::BatchGetReadableNotesRequest { session_ids };
            let get = |transport, request| async move {
                NotesTextServiceClient::new(transport).batch_get_readable_notes(request).await
            };
            let answer = self.sessions.call(context, request, get).await?;
            readable.extend(answer.notes.into_iter().map(notes).collect::<Result<Vec<_>>>()?);
        }
        Ok(readable)
    }

    /// Returns the clients among whom the calling therapist may search, or one of them.
    ///
    /// # Errors
    /// FAILED_PRECONDITION (`TOO_MANY_CLIENTS`) when there are too many; as of [`Upstream::call`].
    pub(crate) async fn searchable_clients(
        &self,
        context: &Context,
        client: Option<ClientId>,
        with_agreement: bool,
    ) -> Result<Vec<Searchable>> {
        let client_id = client.map(|client| client.to_string()).unwrap_or_default();
        let request = ListSearchableClientsRequest { client_id, with_agreement };
        let list = |transport, request| async move {
            ConsentServiceClient::new(transport).list_searchable_clients(request).await
        };
        let answer = self.mapping.call(context, request, list).await?;
        if answer.too_many {
            return Err(too_many_clients());
        }
        answer.clients.into_iter().map(searchable).collect()
    }

    /// Records accesses of the caller.
    pub(crate) async fn record(&self, context: &Context, disclosures: &[Disclosure]) -> Result<()> {
        for disclosures in disclosures.chunks(MAX_ACCESSES) {
            let accesses = disclosures.iter().map(access).collect::<Result<_>>()?;
            let request = BatchRecordAccessesRequest { accesses };
            let record = |transport, request| async move {
                AuditServiceClient::new(transport).batch_record_accesses(request).await
            };
            self.audit.call(context, request, record).await?;
        }
        Ok(())
    }
}

fn to_proto(name: EntryName) -> journals::EntryName {
    journals::EntryName { client_id: name.client.to_string(), entry_id: name.id.to_string() }
}

pub(crate) fn entry(text: journals::EntryText) -> Result<EntryText> {
    let is_private = match text.visibility() {
        journals::Visibility::Private => true,
        journals::Visibility::Shared => false,
        journals::Visibility::Unspecified => return Err(Error::internal("journals answers an entry without readers")),
    };
    let journals::EntryText { name, version, visibility: _, emotion, note } = text;
    let name = name.and_then(|name| from_proto(&name));
    let name = name.ok_or_else(|| Error::internal("journals answers an entry without a name"))?;
    Ok(EntryText { name, version: version.into(), is_private, text: searched(&emotion, &note) })
}

/// Returns the text of an entry that is searched: the emotion and the note, in lines of their own.
fn searched(emotion: &str, note: &str) -> String {
    format!("{emotion}\n{note}")
}

/// Converts the name of an entry; `None` if an id is invalid.
pub(crate) fn from_proto(name: &journals::EntryName) -> Option<EntryName> {
    let journals::EntryName { client_id, entry_id } = name;
    Some(EntryName { client: client_id.parse().ok()?, id: Ulid::from_string(entry_id).ok()? })
}

fn notes(notes: sessions::NotesText) -> Result<Notes> {
    let sessions::NotesText { session_id, therapist_id, client_id, start, version, private_notes, shared_notes } =
        notes;
    let broken = || Error::internal("sessions answers notes of no session");
    let client = Some(client_id).filter(|id| !id.is_empty());
    Ok(Notes {
        session: session_id.parse().map_err(|_| broken())?,
        therapist: therapist_id.parse().map_err(|_| broken())?,
        client: client.map(|id| id.parse()).transpose().map_err(|_| broken())?,
        start: start.and_then(|start| convert::millisecond::floor_from_proto(start).ok()).ok_or_else(broken)?,
        version: version.into(),
        private: private_notes,
        shared: shared_notes,
    })
}

fn searchable(client: SearchableClient) -> Result<Searchable> {
    let SearchableClient { client_id, agreed_since, grant } = client;
    let broken = || Error::internal("mapping answers a client with an invalid id or time");
    let since = agreed_since.map(convert::millisecond::floor_from_proto).transpose();
    let from = |JournalGrant { entries_from, .. }: JournalGrant| {
        entries_from.map_or(Ok(i64::MIN), convert::millisecond::ceil_from_proto)
    };
    Ok(Searchable {
        client: client_id.parse().map_err(|_| broken())?,
        agreed_since: since.map_err(|_| broken())?,
        journal_from: grant.map(from).transpose().map_err(|_| broken())?,
    })
}

fn access(Disclosure { client, grant, entries }: &Disclosure) -> Result<RecordAccessRequest> {
    Ok(RecordAccessRequest {
        client_id: client.to_string(),
        action: access::Action::Search.into(),
        entry_count: i32::try_from(*entries).map_err(Error::internal)?,
        entry_id: String::new(),
        grant_id: grant.clone(),
    })
}

//! What stands between a therapist and a journal: the client's consent, asked for before, and the client's access log,
//! written before the answer leaves.

use chassis::Context;
use chassis::client::Upstream;
use kernel::{Error, Result};
use proto::audit::v1::audit_service_client::AuditServiceClient;
use proto::audit::v1::{RecordAccessRequest, access};
use proto::mapping::v1::consent_service_client::ConsentServiceClient;
use proto::mapping::v1::{CheckJournalAccessRequest, CheckJournalAccessResponse};

use crate::model::EntryId;
use crate::policy::{Answer, Question, Read, Reading};
use crate::wire;

/// The services that know of consent and keep the log.
#[derive(Debug)]
pub(crate) struct Consent {
    pub(crate) mapping: Upstream,
    pub(crate) audit: Upstream,
}

/// What was read and is not disclosed yet.
#[must_use]
pub(crate) struct Undisclosed<T> {
    what: T,
    action: access::Action,
    count: usize,
    entry: Option<EntryId>,
}

impl<T> Undisclosed<T> {
    /// An answer that shows or sums up so many entries.
    pub(crate) const fn new(what: T, action: access::Action, count: usize) -> Self {
        Self { what, action, count, entry: None }
    }

    /// An answer that shows one entry.
    pub(crate) const fn entry(what: T, id: EntryId) -> Self {
        Self { what, action: access::Action::Entry, count: 1, entry: Some(id) }
    }
}

impl Consent {
    /// The permit to read, as things are right now.
    ///
    /// # Errors
    /// NOT_FOUND of `what` when the client has granted nothing; UNAVAILABLE or INTERNAL.
    pub(crate) async fn permit(&self, context: &Context, reading: Reading, what: &'static str) -> Result<Read> {
        match reading {
            Reading::Permitted(permit) => Ok(permit),
            Reading::Ask(question) => {
                let answer = self.ask(context, question).await?;
                question.answered(answer).ok_or_else(|| Error::not_found(what))
            }
        }
    }

    /// What was read, once the client's access log says so if it was not the client who read.
    ///
    /// # Errors
    /// UNAVAILABLE or INTERNAL when it could not be recorded: then nothing is disclosed.
    pub(crate) async fn disclose<T>(&self, context: &Context, permit: &Read, read: Undisclosed<T>) -> Result<T> {
        let Undisclosed { what, action, count, entry } = read;
        if let Some(grant) = permit.grant() {
            let request = RecordAccessRequest {
                client_id: permit.client().to_string(),
                action: action.into(),
                entry_count: i32::try_from(count).map_err(Error::internal)?,
                entry_id: entry.map(|id| id.to_string()).unwrap_or_default(),
                grant_id: grant.id().to_owned(),
            };
            let record =
                |transport, request| async move { AuditServiceClient::new(transport).record_access(request).await };
            self.audit.call(context, request, record).await?;
        }
        Ok(what)
    }

    async fn ask(&self, context: &Context, question: Question) -> Result<Answer> {
        let request = CheckJournalAccessRequest { client_id: question.client().to_string() };
        let check = |transport, request| async move {
            ConsentServiceClient::new(transport).check_journal_access(request).await
        };
        let CheckJournalAccessResponse { granted, grant_id, entries_from } =
            self.mapping.call(context, request, check).await?;
        let entries_from = match entries_from {
            None => i64::MIN,
            Some(from) => wire::not_before(from).ok_or_else(|| Error::internal("a grant begins at no instant"))?,
        };
        Ok(Answer { granted, grant_id, entries_from })
    }
}

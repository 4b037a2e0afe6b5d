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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use chassis::identity::Issuer;
    use kernel::{Kind, LoginId, Person, Role, SystemClock, UserId};

    use super::*;
    use crate::policy;

    /// Services that nobody runs.
    fn unreachable() -> Consent {
        let issuer = Arc::new(Issuer::generate(Arc::new(SystemClock)).unwrap());
        let tokens = issuer.workload("journals").tokens;
        // Port 1 of this machine belongs to nobody who answers.
        let upstream = Upstream::new("http://127.0.0.1:1", tokens).unwrap();
        Consent { mapping: upstream.clone(), audit: upstream }
    }

    fn reading(role: Role) -> Reading {
        let user_id = UserId::from_bytes([1; 16]);
        let person = Person { user_id, role, login_id: LoginId::from_bytes([9; 16]) };
        policy::read(person, &user_id.to_string(), "journal").unwrap()
    }

    #[tokio::test]
    async fn nothing_is_disclosed_to_a_therapist_that_could_not_be_recorded() {
        let (consent, context) = (unreachable(), Context::background(Duration::from_secs(5)));
        let Reading::Ask(question) = reading(Role::Therapist) else { panic!("a therapist is asked about") };
        let answer = Answer { granted: true, grant_id: "g".to_owned(), entries_from: i64::MIN };
        let granted = question.answered(answer).unwrap();
        let read = Undisclosed::new("what was written", access::Action::List, 1);
        assert_eq!(consent.disclose(&context, &granted, read).await.unwrap_err().kind(), Kind::Unavailable);
        let Reading::Permitted(own) = reading(Role::Client) else { panic!("a client reads the own journal") };
        let read = Undisclosed::new("what was written", access::Action::List, 1);
        assert_eq!(consent.disclose(&context, &own, read).await.unwrap(), "what was written");
    }

    #[tokio::test]
    async fn without_an_answer_there_is_no_consent() {
        let (consent, context) = (unreachable(), Context::background(Duration::from_secs(5)));
        let refused = consent.permit(&context, reading(Role::Therapist), "journal").await;
        assert_eq!(refused.unwrap_err().kind(), Kind::Unavailable);
        assert!(consent.permit(&context, reading(Role::Client), "journal").await.is_ok());
    }
}

//! Enforces consent: a therapist's read requires the client's grant, and is recorded in the client's access log before
//! the answer is sent.

use std::collections::HashMap;

use chassis::Context;
use chassis::client::Upstream;
use kernel::{ClientId, Error, Result};
use proto::audit::v1::audit_service_client::AuditServiceClient;
use proto::audit::v1::{RecordAccessRequest, access};
use proto::mapping::v1::consent_service_client::ConsentServiceClient;
use proto::mapping::v1::{
    BatchCheckJournalAccessRequest, BatchCheckJournalAccessResponse, CheckJournalAccessRequest,
    CheckJournalAccessResponse, JournalGrant,
};

use crate::model::EntryId;
use crate::policy::{Answer, Question, Read, Reading};

/// Clients of the services that hold the grants and the access log.
#[derive(Debug)]
pub(crate) struct Consent {
    pub(crate) mapping: Upstream,
    pub(crate) audit: Upstream,
}

/// A value that was read, and may be disclosed only once the access log has a record of it.
#[must_use]
pub(crate) struct Undisclosed<T> {
    value: T,
    action: access::Action,
    count: usize,
    entry: Option<EntryId>,
}

impl<T> Undisclosed<T> {
    /// Creates an answer that shows or sums up `count` entries.
    pub(crate) const fn new(value: T, action: access::Action, count: usize) -> Self {
        Self { value, action, count, entry: None }
    }

    /// Creates an answer that shows one entry.
    pub(crate) const fn entry(value: T, id: EntryId) -> Self {
        Self { value, action: access::Action::Entry, count: 1, entry: Some(id) }
    }
}

impl Consent {
    /// Returns the permit to read, from the current grant for a therapist.
    ///
    /// # Errors
    /// `missing` when the client has granted nothing; UNAVAILABLE or INTERNAL.
    pub(crate) async fn permit(&self, context: &Context, reading: Reading, missing: fn() -> Error) -> Result<Read> {
        match reading {
            Reading::Permitted(permit) => Ok(permit),
            Reading::Ask(question) => {
                let answer = self.ask(context, question).await?;
                question.answered(answer).ok_or_else(missing)
            }
        }
    }

    /// Returns the permits to read, from the current grants for a therapist: by one call.
    ///
    /// # Errors
    /// UNAVAILABLE or INTERNAL.
    pub(crate) async fn permits(&self, context: &Context, readings: Vec<Reading>) -> Result<Vec<Read>> {
        let (mut permits, mut questions) = (Vec::new(), Vec::new());
        for reading in readings {
            match reading {
                Reading::Permitted(permit) => permits.push(permit),
                Reading::Ask(question) => questions.push(question),
            }
        }
        if !questions.is_empty() {
            let mut answers = self.ask_all(context, &questions).await?;
            let granted = |question: Question| question.answered(answers.remove(&question.client())?);
            permits.extend(questions.into_iter().filter_map(granted));
        }
        Ok(permits)
    }

    /// Returns the value that was read, after recording a therapist's read in the client's access log.
    ///
    /// # Errors
    /// UNAVAILABLE or INTERNAL when the record fails: then nothing is disclosed.
    pub(crate) async fn disclose<T>(&self, context: &Context, permit: &Read, read: Undisclosed<T>) -> Result<T> {
        let Undisclosed { value, action, count, entry } = read;
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
        Ok(value)
    }

    async fn ask(&self, context: &Context, question: Question) -> Result<Answer> {
        let request = CheckJournalAccessRequest { client_id: question.client().to_string() };
        let check = |transport, request| async move {
            ConsentServiceClient::new(transport).check_journal_access(request).await
        };
        let CheckJournalAccessResponse { granted, grant_id, entries_from } =
            self.mapping.call(context, request, check).await?;
        Ok(Answer { granted, grant_id, entries_from: first_covered(entries_from)? })
    }

    /// Returns the answers of those journals of which anything may be read.
    async fn ask_all(&self, context: &Context, questions: &[Question]) -> Result<HashMap<ClientId, Answer>> {
        let client_ids = questions.iter().map(|question| question.client().to_string()).collect();
        let check = |transport, request| async move {
            ConsentServiceClient::new(transport).batch_check_journal_access(request).await
        };
        let BatchCheckJournalAccessResponse { grants } =
            self.mapping.call(context, BatchCheckJournalAccessRequest { client_ids }, check).await?;
        let answer = |JournalGrant { client_id, grant_id, entries_from }| {
            let client = client_id.parse().map_err(|_| Error::internal("a grant names no client"))?;
            Ok((client, Answer { granted: true, grant_id, entries_from: first_covered(entries_from)? }))
        };
        grants.into_iter().map(answer).collect()
    }
}

/// Returns the first millisecond since 1970 that a grant covers.
fn first_covered(entries_from: Option<prost_types::Timestamp>) -> Result<i64> {
    let Some(from) = entries_from else { return Ok(i64::MIN) };
    convert::millisecond::ceil_from_proto(from).map_err(|_| Error::internal("a grant begins at no instant"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use chassis::identity::Issuer;
    use kernel::{Kind, LoginId, Person, Role, SystemClock, UserId};

    use super::*;
    use crate::error::no_journal;
    use crate::policy;

    /// Returns clients of services that are unreachable.
    fn unreachable() -> Consent {
        let issuer = Arc::new(Issuer::generate(Arc::new(SystemClock)).unwrap());
        let tokens = issuer.workload("journals").tokens;
        // Nothing listens on port 1 of this machine.
        let upstream = Upstream::new("http://127.0.0.1:1", tokens, kit::entropy::seeded()).unwrap();
        Consent { mapping: upstream.clone(), audit: upstream }
    }

    fn reading(role: Role) -> Reading {
        let user_id = UserId::from_bytes([1; 16]);
        let person = Person { user_id, role, login_id: LoginId::from_bytes([9; 16]) };
        policy::read(person, &user_id.to_string(), no_journal).unwrap()
    }

    #[tokio::test]
    async fn failed_record_discloses_nothing_to_the_therapist() {
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
    async fn unavailable_mapping_service_grants_no_permit() {
        let (consent, context) = (unreachable(), Context::background(Duration::from_secs(5)));
        let refused = consent.permit(&context, reading(Role::Therapist), no_journal).await;
        assert_eq!(refused.unwrap_err().kind(), Kind::Unavailable);
        assert!(consent.permit(&context, reading(Role::Client), no_journal).await.is_ok());
    }
}

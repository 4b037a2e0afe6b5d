//! Asks other services whether the members of a conversation may write to each other, and for their names.

use std::collections::HashMap;

use chassis::Context;
use chassis::client::Upstream;
use kernel::{Error, Result, UserId};
use proto::clients::v1::client_name_service_client::ClientNameServiceClient;
use proto::clients::v1::{BatchGetClientNamesRequest, ClientName};
use proto::mapping::v1::consent_service_client::ConsentServiceClient;
use proto::mapping::v1::record_contact_request::Kind;
use proto::mapping::v1::record_contact_response::Outcome;
use proto::mapping::v1::{RecordContactRequest, RecordContactResponse};
use proto::therapists::v1::therapist_name_service_client::TherapistNameServiceClient;
use proto::therapists::v1::{BatchGetTherapistNamesRequest, TherapistName};

use crate::model::Side;
use crate::policy::Member;

/// Services of contacts and names.
#[derive(Debug)]
pub(crate) struct People {
    pub(crate) mapping: Upstream,
    pub(crate) clients: Upstream,
    pub(crate) therapists: Upstream,
}

/// Outcome of recording contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contact {
    /// Allowed and recorded: each finds the other among the related people.
    Recorded,
    /// There is no such person to whom the caller may write.
    NoSuchPeer,
    /// The caller's own account has ended.
    CallerEnded,
}

impl People {
    /// Records the caller's contact with the peer, before anything is stored.
    pub(crate) async fn contact(&self, context: &Context, permit: Member) -> Result<Contact> {
        let request = RecordContactRequest { peer_id: permit.peer().to_string(), kind: Kind::Message.into() };
        let record =
            |transport, request| async move { ConsentServiceClient::new(transport).record_contact(request).await };
        let answer: RecordContactResponse = self.mapping.call(context, request, record).await?;
        match answer.outcome() {
            Outcome::Recorded => Ok(Contact::Recorded),
            Outcome::NoSuchPeer => Ok(Contact::NoSuchPeer),
            Outcome::CallerEnded => Ok(Contact::CallerEnded),
            Outcome::Unspecified => Err(Error::internal("mapping says nothing of what became of a contact")),
        }
    }

    /// Returns the names of people of one side, by one call. People without a profile are left out.
    pub(crate) async fn names(
        &self,
        context: &Context,
        side: Side,
        ids: impl Iterator<Item = UserId>,
    ) -> Result<HashMap<String, String>> {
        let ids: Vec<_> = ids.map(|id| id.to_string()).collect();
        match side {
            Side::Client => {
                let ask = |transport, request| async move {
                    ClientNameServiceClient::new(transport).batch_get_client_names(request).await
                };
                let request = BatchGetClientNamesRequest { client_ids: ids };
                let answer = self.clients.call(context, request, ask).await?;
                Ok(answer.names.into_iter().map(|ClientName { client_id, name }| (client_id, name)).collect())
            }
            Side::Therapist => {
                let ask = |transport, request| async move {
                    TherapistNameServiceClient::new(transport).batch_get_therapist_names(request).await
                };
                let request = BatchGetTherapistNamesRequest { therapist_ids: ids };
                let answer = self.therapists.call(context, request, ask).await?;
                let named = |TherapistName { therapist_id, name, specialty: _ }| (therapist_id, name);
                Ok(answer.names.into_iter().map(named).collect())
            }
        }
    }
}

//! Records a contact of a therapist and a client with mapping, before a session is booked for the client.

use chassis::Context;
use chassis::client::Upstream;
use kernel::{ClientId, Error, Result};
use proto::mapping::v1::consent_service_client::ConsentServiceClient;
use proto::mapping::v1::record_contact_response::Outcome;
use proto::mapping::v1::{RecordContactRequest, RecordContactResponse, record_contact_request};

use crate::error;

/// Client of the mapping service.
#[derive(Debug)]
pub(crate) struct Contact(pub(crate) Upstream);

impl Contact {
    /// Records that the calling therapist books a client.
    ///
    /// # Errors
    /// NOT_FOUND when the client has not agreed to be related; UNAUTHENTICATED (`ACCOUNT_ENDED`); UNAVAILABLE,
    /// DEADLINE_EXCEEDED or INTERNAL.
    pub(crate) async fn record(&self, context: &Context, client: ClientId) -> Result<()> {
        let kind = record_contact_request::Kind::Appointment;
        let request = RecordContactRequest { peer_id: client.to_string(), kind: kind.into() };
        let record =
            |transport, request| async move { ConsentServiceClient::new(transport).record_contact(request).await };
        let RecordContactResponse { outcome, version: _ } = self.0.call(context, request, record).await?;
        match Outcome::try_from(outcome) {
            Ok(Outcome::Recorded) => Ok(()),
            Ok(Outcome::NoSuchPeer) => Err(error::no_client()),
            Ok(Outcome::CallerEnded) => Err(Error::account_ended()),
            Ok(Outcome::Unspecified) | Err(_) => Err(Error::internal("mapping doesn't say whether contact is noted")),
        }
    }
}

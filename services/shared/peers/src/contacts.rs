//! Records contacts of clients and therapists with mapping.

use chassis::Context;
use chassis::client::Upstream;
use kernel::{Error, Kind as ErrorKind, Result, UserId};
use proto::mapping::v1::RecordContactRequest;
use proto::mapping::v1::consent_service_client::ConsentServiceClient;
use proto::mapping::v1::record_contact_request::Kind;
use proto::mapping::v1::record_contact_response::Outcome;

/// Client of mapping for contacts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Contacts(Upstream);

/// Kind of a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// A message.
    Message,
    /// A request for an appointment, or a booking.
    Appointment,
}

impl Contacts {
    /// A client that calls mapping at this upstream.
    #[must_use]
    pub const fn new(mapping: Upstream) -> Self {
        Self(mapping)
    }

    /// Records that the caller makes contact with a person on the other side, before anything is stored: each finds the
    /// other among the related people. Returns the version of their relation; `None` when there is no such person whom
    /// the caller may contact.
    ///
    /// # Errors
    /// UNAUTHENTICATED (`ACCOUNT_ENDED`) when the caller's own account has ended; FAILED_PRECONDITION (`PROFILE_MISSING`)
    /// when a client without a profile writes the first message; UNAVAILABLE, DEADLINE_EXCEEDED or INTERNAL when mapping
    /// gives no answer.
    pub async fn record(&self, context: &Context, peer: UserId, channel: Channel) -> Result<Option<u32>> {
        let kind = match channel {
            Channel::Message => Kind::Message,
            Channel::Appointment => Kind::Appointment,
        };
        let request = RecordContactRequest { peer_id: peer.to_string(), kind: kind.into() };
        let record =
            |transport, request| async move { ConsentServiceClient::new(transport).record_contact(request).await };
        let answer = self.0.call(context, request, record).await?;
        match answer.outcome() {
            Outcome::Recorded => Ok(Some(answer.version)),
            Outcome::NoSuchPeer => Ok(None),
            Outcome::CallerEnded => Err(Error::account_ended()),
            Outcome::CallerWithoutProfile => Err(profile_missing()),
            Outcome::Unspecified => Err(Error::internal("mapping doesn't say what became of a contact")),
        }
    }
}

fn profile_missing() -> Error {
    let message = "you have no profile yet: make one with POST /clients, then write";
    Error::new(ErrorKind::FailedPrecondition, "PROFILE_MISSING", message)
}

//! Receives the events of other services.
//!
//! A service implements [`EventHandler`], and [`server`] makes the gRPC service of it. The sender's outbox delivers an
//! event until it succeeds, so that handlers are idempotent.

mod account;

use chassis::{Context, MAX_RECEIVE, MAX_SEND, to_status};
use kernel::Result as Outcome;
use proto::events::v1::event::Kind;
use proto::events::v1::subscriber_service_server::{SubscriberService, SubscriberServiceServer};
use proto::events::v1::{
    AppointmentRevoked, DeliverRequest, DeliverResponse, EntryChanged, Event, NotesChanged, RelationEnded,
    SessionBooked, SessionWithdrawn,
};
use tonic::{Request, Response, Status};

pub use account::AccountDeletionPermit;
pub use proto::events::v1::subscriber_service_server::SERVICE_NAME;

/// A service that is told of events. Every subscriber is told of deleted accounts; the other kinds go to
/// [`EventHandler::other`] unless it has a method for them.
pub trait EventHandler: Send + Sync + 'static {
    /// Deletes what the service holds of an account.
    fn account_deleted(
        &self,
        context: &Context,
        permit: AccountDeletionPermit,
    ) -> impl Future<Output = Outcome<()>> + Send;

    /// Handles the booking of a session.
    fn session_booked(&self, _context: &Context, _event: SessionBooked) -> impl Future<Output = Outcome<()>> + Send {
        async { self.other() }
    }

    /// Handles the withdrawal of a session by its therapist.
    fn session_withdrawn(
        &self,
        _context: &Context,
        _event: SessionWithdrawn,
    ) -> impl Future<Output = Outcome<()>> + Send {
        async { self.other() }
    }

    /// Handles the revocation of an appointment.
    fn appointment_revoked(
        &self,
        _context: &Context,
        _event: AppointmentRevoked,
    ) -> impl Future<Output = Outcome<()>> + Send {
        async { self.other() }
    }

    /// Handles the end of a relation by its client.
    fn relation_ended(&self, _context: &Context, _event: RelationEnded) -> impl Future<Output = Outcome<()>> + Send {
        async { self.other() }
    }

    /// Handles the change of an entry, at the time that the event names.
    fn entry_changed(
        &self,
        _context: &Context,
        _event: EntryChanged,
        _time: Option<prost_types::Timestamp>,
    ) -> impl Future<Output = Outcome<()>> + Send {
        async { self.other() }
    }

    /// Handles the change of notes, at the time that the event names.
    fn notes_changed(
        &self,
        _context: &Context,
        _event: NotesChanged,
        _time: Option<prost_types::Timestamp>,
    ) -> impl Future<Output = Outcome<()>> + Send {
        async { self.other() }
    }

    /// Returns the outcome of an event that the service has no method for, or that is newer than this version, which
    /// decodes as no kind. It is acknowledged by default.
    ///
    /// # Errors
    /// If the outbox is to keep such events.
    fn other(&self) -> Outcome<()> {
        Ok(())
    }
}

/// Implementation of `SubscriberService` by a handler.
struct Subscriber<H>(H);

#[tonic::async_trait]
impl<H: EventHandler> SubscriberService for Subscriber<H> {
    async fn deliver(&self, request: Request<DeliverRequest>) -> Result<Response<DeliverResponse>, Status> {
        let context = Context::of(&request);
        let DeliverRequest { event } = request.into_inner();
        deliver(&self.0, &context, event.unwrap_or_default()).await.map_err(to_status)?;
        Ok(Response::new(DeliverResponse {}))
    }
}

/// Returns the gRPC service of a handler.
pub fn server<H: EventHandler>(handler: H) -> SubscriberServiceServer<impl SubscriberService> {
    let server = SubscriberServiceServer::new(Subscriber(handler));
    server.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND)
}

/// Delivers an event to a handler.
///
/// # Errors
/// INVALID_ARGUMENT for an account event with an invalid field; those of the handler.
pub async fn deliver(handler: &impl EventHandler, context: &Context, event: Event) -> Outcome<()> {
    let Event { id: _, time, kind } = event;
    match kind {
        Some(Kind::AccountEnded(ended)) => {
            handler.account_deleted(context, AccountDeletionPermit::from_proto(&ended, time)?).await
        }
        Some(Kind::SessionBooked(event)) => handler.session_booked(context, event).await,
        Some(Kind::SessionWithdrawn(event)) => handler.session_withdrawn(context, event).await,
        Some(Kind::AppointmentRevoked(event)) => handler.appointment_revoked(context, event).await,
        Some(Kind::RelationEnded(event)) => handler.relation_ended(context, event).await,
        Some(Kind::EntryChanged(event)) => handler.entry_changed(context, event, time).await,
        Some(Kind::NotesChanged(event)) => handler.notes_changed(context, event, time).await,
        None => handler.other(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kernel::{Error, FieldError, FieldReason, Kind as ErrorKind};
    use proto::events::v1::AccountEnded;

    use super::*;

    /// Handler that knows deleted accounts alone.
    struct Accounts {
        keeps_others: bool,
    }

    impl EventHandler for Accounts {
        async fn account_deleted(&self, _: &Context, _: AccountDeletionPermit) -> Outcome<()> {
            Ok(())
        }

        fn other(&self) -> Outcome<()> {
            if self.keeps_others {
                Err(Error::invalid("event", FieldError::new(FieldReason::UnknownValue, "is unknown")))
            } else {
                Ok(())
            }
        }
    }

    /// An outbox keeps an event that is refused, and drops one that is acknowledged.
    #[tokio::test]
    async fn handler_decides_on_events_it_has_no_method_for() {
        let context = Context::background(Duration::from_secs(20));
        for kind in [
            None,
            Some(Kind::SessionBooked(SessionBooked::default())),
            Some(Kind::SessionWithdrawn(SessionWithdrawn::default())),
            Some(Kind::AppointmentRevoked(AppointmentRevoked::default())),
            Some(Kind::RelationEnded(RelationEnded::default())),
            Some(Kind::EntryChanged(EntryChanged::default())),
            Some(Kind::NotesChanged(NotesChanged::default())),
        ] {
            let event = Event { kind: kind.clone(), ..Event::default() };
            assert!(deliver(&Accounts { keeps_others: false }, &context, event.clone()).await.is_ok(), "{kind:?}");
            assert!(deliver(&Accounts { keeps_others: true }, &context, event).await.is_err(), "{kind:?}");
        }
        for keeps_others in [false, true] {
            let empty = Request::new(DeliverRequest { event: None });
            let delivered = Subscriber(Accounts { keeps_others }).deliver(empty).await;
            assert_eq!(delivered.is_err(), keeps_others);
        }
    }

    #[tokio::test]
    async fn malformed_account_event_is_refused() {
        let context = Context::background(Duration::from_secs(20));
        let event = Event { kind: Some(Kind::AccountEnded(AccountEnded::default())), ..Event::default() };
        let refused = deliver(&Accounts { keeps_others: false }, &context, event).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
    }
}

//! RPCs for other services. Expected outcomes are part of the response; an error is a fault or an invalid request.

use chassis::{Context, to_status};
use kernel::{Error, FieldError, FieldReason, Result as Outcome, SessionId, Timestamp, Violations};
use proto::events::v1::AppointmentRevoked;
use proto::sessions::v1 as pb;
use proto::sessions::v1::find_slot_response::Outcome as FindOutcome;
use proto::sessions::v1::reserve_slot_response::Outcome as ReserveOutcome;
use proto::sessions::v1::slot_service_server::SlotService;
use subscriber::{AccountDeletionPermit, EventHandler};
use tonic::{Request, Response, Status};

use crate::model::{Booking, Reservation, Reserved, SlotLookup, SlotSelector};
use crate::policy::{self, SlotEndsPermit, SlotPermit};
use crate::service::Sessions;
use crate::wire;

/// Maximum sessions whose ends are asked for at once.
const MAX_ENDS: usize = 100;

#[tonic::async_trait]
impl SlotService for Sessions {
    async fn find_slot(&self, request: Request<pb::FindSlotRequest>) -> Result<Response<pb::FindSlotResponse>, Status> {
        let context = Context::of(&request);
        let found = self.find(&context, request.into_inner()).await.map_err(to_status)?;
        let (outcome, slot) = match found {
            SlotLookup::Available(id, start) => (FindOutcome::Available, Some((id, start))),
            SlotLookup::None => (FindOutcome::None, None),
            SlotLookup::Taken => (FindOutcome::Taken, None),
            SlotLookup::Past => (FindOutcome::Past, None),
            SlotLookup::OtherTime => (FindOutcome::OtherTime, None),
            SlotLookup::Ambiguous => (FindOutcome::Ambiguous, None),
        };
        Ok(Response::new(pb::FindSlotResponse {
            outcome: outcome.into(),
            session_id: slot.map(|(id, _)| id.to_string()).unwrap_or_default(),
            start: slot.map(|(_, start)| convert::time::to_proto(start)),
        }))
    }

    async fn reserve_slot(
        &self,
        request: Request<pb::ReserveSlotRequest>,
    ) -> Result<Response<pb::ReserveSlotResponse>, Status> {
        let context = Context::of(&request);
        let outcome = match self.reserve(&context, request.into_inner()).await.map_err(to_status)? {
            Reserved::Booked => ReserveOutcome::Booked,
            Reserved::Taken => ReserveOutcome::Taken,
            Reserved::Gone => ReserveOutcome::Gone,
            Reserved::Moved => ReserveOutcome::Moved,
            Reserved::ClientEnded => ReserveOutcome::ClientEnded,
        };
        Ok(Response::new(pb::ReserveSlotResponse { outcome: outcome.into() }))
    }

    async fn batch_get_slot_ends(
        &self,
        request: Request<pb::BatchGetSlotEndsRequest>,
    ) -> Result<Response<pb::BatchGetSlotEndsResponse>, Status> {
        let ends = self.ends(request.into_inner()).await.map_err(to_status)?;
        let end = |(id, end): (SessionId, Timestamp)| pb::SlotEnd {
            session_id: id.to_string(),
            end: Some(convert::time::to_proto(end)),
        };
        Ok(Response::new(pb::BatchGetSlotEndsResponse { ends: ends.into_iter().map(end).collect() }))
    }

    async fn release_slot(
        &self,
        request: Request<pb::ReleaseSlotRequest>,
    ) -> Result<Response<pb::ReleaseSlotResponse>, Status> {
        let pb::ReleaseSlotRequest { session_id, appointment_id } = request.into_inner();
        self.release(&session_id, &appointment_id).await.map_err(to_status)?;
        Ok(Response::new(pb::ReleaseSlotResponse {}))
    }
}

impl EventHandler for Sessions {
    async fn account_deleted(&self, context: &Context, permit: AccountDeletionPermit) -> Outcome<()> {
        self.0.handle_account_deleted(context, permit).await
    }

    async fn appointment_revoked(&self, _: &Context, event: AppointmentRevoked) -> Outcome<()> {
        let AppointmentRevoked { appointment_id, session_id } = event;
        self.release(&session_id, &appointment_id).await
    }
}

impl Sessions {
    async fn find(&self, context: &Context, request: pb::FindSlotRequest) -> Outcome<SlotLookup> {
        let client = policy::require_client(context.person()?)?;
        let pb::FindSlotRequest { session_id, therapist_id, time } = request;
        let time = time.map(|time| wire::instant("time", time)).transpose()?;
        let Ok(therapist) = therapist_id.parse() else { return Ok(SlotLookup::None) };
        let selector = match (session_id.is_empty(), time) {
            (true, None) => {
                return Err(Error::invalid(
                    "time",
                    FieldError::new(FieldReason::Required, "is required where no session is named"),
                ));
            }
            (true, Some(time)) => SlotSelector::At(time),
            (false, time) => match session_id.parse() {
                Ok(id) => SlotSelector::Session(id, time),
                Err(_) => return Ok(SlotLookup::None),
            },
        };
        self.0.find(client.find_slot(therapist), selector).await
    }

    async fn reserve(&self, context: &Context, request: pb::ReserveSlotRequest) -> Outcome<Reserved> {
        match reservation(request)? {
            Some((permit, wanted)) => self.0.reserve(context, permit, wanted).await,
            None => Ok(Reserved::Gone),
        }
    }

    async fn ends(&self, request: pb::BatchGetSlotEndsRequest) -> Outcome<Vec<(SessionId, Timestamp)>> {
        let pb::BatchGetSlotEndsRequest { session_ids } = request;
        let ids = convert::batch::from_proto("sessionIds", &session_ids, MAX_ENDS)?;
        self.0.ends(&SlotEndsPermit::of_appointments(ids)).await
    }

    /// Releases a slot. Invalid ids name no slot, and are ignored.
    async fn release(&self, session: &str, appointment: &str) -> Outcome<()> {
        match (session.parse(), appointment.parse()) {
            (Ok(session), Ok(appointment)) => self.0.release(SlotPermit::of_appointments(session), appointment).await,
            (Err(_), _) | (_, Err(_)) => Ok(()),
        }
    }
}

/// Converts a reservation request; None if its session or therapist id is invalid, as no session has such an id.
fn reservation(request: pb::ReserveSlotRequest) -> Outcome<Option<(SlotPermit, Reservation)>> {
    let pb::ReserveSlotRequest { session_id, therapist_id, appointment_id, client_id, start } = request;
    let mut bad = Violations::default();
    let appointment = bad.check("appointmentId", appointment_id.parse());
    let client = bad.check("clientId", client_id.parse());
    let (Some(appointment), Some(client)) = (appointment, client) else { return Err(bad.into_error()) };
    let start = wire::instant("start", start.ok_or_else(|| Error::invalid("start", FieldError::REQUIRED))?)?;
    let (Ok(session), Ok(therapist)) = (session_id.parse(), therapist_id.parse()) else { return Ok(None) };
    let wanted = Reservation { therapist, booking: Booking { client, appointment }, start };
    Ok(Some((SlotPermit::of_appointments(session), wanted)))
}

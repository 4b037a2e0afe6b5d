//! Calls sessions before and after an appointment changes.

use std::collections::HashMap;

use chassis::Context;
use chassis::client::Upstream;
use kernel::{Error, Result, SessionId, Timestamp};
use proto::sessions::v1::find_slot_response::Outcome as Find;
use proto::sessions::v1::reserve_slot_response::Outcome as Reserve;
use proto::sessions::v1::slot_service_client::SlotServiceClient;
use proto::sessions::v1::{
    BatchGetSlotEndsRequest, FindSlotRequest, FindSlotResponse, ReleaseSlotRequest, ReserveSlotRequest, SlotEnd,
};

use crate::model::{Appointment, Reserved, SlotLookup, SlotQuery, Start};

/// Maximum sessions of one call for their ends.
const MAX_ENDS: usize = 100;

/// Client of the service that owns the slots.
#[derive(Debug)]
pub(crate) struct Sessions(pub(crate) Upstream);

impl Sessions {
    /// Looks a slot up.
    pub(crate) async fn find(&self, context: &Context, query: SlotQuery) -> Result<SlotLookup> {
        let request = FindSlotRequest {
            session_id: query.session.map(|id| id.to_string()).unwrap_or_default(),
            therapist_id: query.therapist.to_string(),
            time: query.time.map(convert::time::to_proto),
        };
        let find = |transport, request| async move { SlotServiceClient::new(transport).find_slot(request).await };
        let FindSlotResponse { outcome, session_id, start } = self.0.call(context, request, find).await?;
        match Find::try_from(outcome) {
            Ok(Find::Available) => {
                let start = start.ok_or_else(|| Error::internal("a slot has no start"))?;
                let start =
                    convert::time::from_proto(start).map_err(|_| Error::internal("a slot starts at no instant"))?;
                let session = session_id.parse().map_err(|_| Error::internal("a slot is of no session"))?;
                Ok(SlotLookup::Available(session, Start::of(start)))
            }
            Ok(Find::None) => Ok(SlotLookup::None),
            Ok(Find::Taken) => Ok(SlotLookup::Taken),
            Ok(Find::Past) => Ok(SlotLookup::Past),
            Ok(Find::OtherTime) => Ok(SlotLookup::OtherTime),
            Ok(Find::Ambiguous) => Ok(SlotLookup::Ambiguous),
            Ok(Find::Unspecified) | Err(_) => Err(Error::internal("sessions doesn't say what it found")),
        }
    }

    /// Reserves the slot of an appointment's session for it.
    pub(crate) async fn reserve(&self, context: &Context, appointment: &Appointment) -> Result<Reserved> {
        let request = ReserveSlotRequest {
            session_id: appointment.session.to_string(),
            therapist_id: appointment.pair.therapist.to_string(),
            appointment_id: appointment.id.to_string(),
            client_id: appointment.pair.client.to_string(),
            start: Some(convert::time::to_proto(appointment.starts.instant())),
        };
        let reserve = |transport, request| async move { SlotServiceClient::new(transport).reserve_slot(request).await };
        match Reserve::try_from(self.0.call(context, request, reserve).await?.outcome) {
            Ok(Reserve::Booked) => Ok(Reserved::Booked),
            Ok(Reserve::Taken) => Ok(Reserved::Taken),
            Ok(Reserve::Gone) => Ok(Reserved::Gone),
            Ok(Reserve::Moved) => Ok(Reserved::Moved),
            Ok(Reserve::ClientEnded) => Ok(Reserved::ClientEnded),
            Ok(Reserve::Unspecified) | Err(_) => Err(Error::internal("sessions doesn't say whether it booked")),
        }
    }

    /// Returns the ends of the booked ones of these sessions.
    pub(crate) async fn ends(
        &self,
        context: &Context,
        sessions: impl Iterator<Item = SessionId>,
    ) -> Result<HashMap<SessionId, Timestamp>> {
        let session_ids: Vec<_> = sessions.map(|id| id.to_string()).collect();
        let mut ends = HashMap::new();
        for session_ids in session_ids.chunks(MAX_ENDS) {
            let request = BatchGetSlotEndsRequest { session_ids: session_ids.to_vec() };
            let get = |transport, request| async move {
                SlotServiceClient::new(transport).batch_get_slot_ends(request).await
            };
            for SlotEnd { session_id, end } in self.0.call(context, request, get).await?.ends {
                let end = end.ok_or_else(|| Error::internal("a slot has no end"))?;
                let end = convert::time::from_proto(end).map_err(|_| Error::internal("a slot ends at no instant"))?;
                let session = session_id.parse().map_err(|_| Error::internal("a slot is of no session"))?;
                ends.insert(session, end);
            }
        }
        Ok(ends)
    }

    /// Releases a slot, if this appointment has it.
    pub(crate) async fn release(&self, context: &Context, session_id: String, appointment_id: String) -> Result<()> {
        let request = ReleaseSlotRequest { session_id, appointment_id };
        let release = |transport, request| async move { SlotServiceClient::new(transport).release_slot(request).await };
        self.0.call(context, request, release).await.map(drop)
    }
}

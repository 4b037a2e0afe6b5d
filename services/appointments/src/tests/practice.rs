//! Fake of sessions: slots in memory, whose events the test takes and delivers.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use kernel::{AppointmentId, SessionId, TherapistId, Timestamp};
use proto::events::v1::event::Kind;
use proto::events::v1::subscriber_service_server::{SubscriberService, SubscriberServiceServer};
use proto::events::v1::{DeliverRequest, DeliverResponse, SessionBooked, SessionWithdrawn};
use proto::sessions::v1 as sessions;
use proto::sessions::v1::find_slot_response::Outcome as Find;
use proto::sessions::v1::reserve_slot_response::Outcome as Reserve;
use proto::sessions::v1::slot_service_server::{SlotService, SlotServiceServer};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};

/// State of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Available,
    /// Booked for this appointment; the event of that may be undelivered.
    Booked(AppointmentId),
    Cancelled,
}

#[derive(Debug, Clone)]
pub(super) struct Slot {
    therapist: TherapistId,
    pub(super) start: Timestamp,
    pub(super) state: State,
    /// Event that is not delivered to appointments yet. Until then the slot doesn't change.
    pub(super) undelivered: Option<Kind>,
}

pub(super) struct Facts {
    pub(super) slots: HashMap<SessionId, Slot>,
    /// Undelivered events.
    pub(super) events: Vec<Kind>,
    /// Scripted outcomes of the next calls, which override the state of the slot.
    pub(super) find: Vec<Find>,
    pub(super) reserve: Vec<Reserve>,
    /// True if sessions refuses events and releases.
    pub(super) unavailable: bool,
    pub(super) now: Timestamp,
}

/// The fake, on a port of its own; it stops when this value is dropped.
pub(super) struct Practice {
    facts: Shared,
    address: SocketAddr,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Shared(Arc<Mutex<Facts>>);

impl Practice {
    #[allow(clippy::disallowed_methods, reason = "the task ends with the practice")]
    pub(super) async fn start(now: Timestamp) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let facts = Shared(Arc::new(Mutex::new(Facts {
            slots: HashMap::new(),
            events: vec![],
            find: vec![],
            reserve: vec![],
            unavailable: false,
            now,
        })));
        let serve = Server::builder()
            .add_service(SlotServiceServer::new(facts.clone()))
            .add_service(SubscriberServiceServer::new(facts.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        Self { facts, address, task: tokio::spawn(async move { serve.await.unwrap() }) }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.0.lock().unwrap()
    }

    pub(super) fn add(&self, id: SessionId, therapist: TherapistId, start: Timestamp) {
        self.facts().slots.insert(id, Slot { therapist, start, state: State::Available, undelivered: None });
    }

    pub(super) fn state(&self, id: SessionId) -> State {
        self.facts().slots[&id].state.clone()
    }
}

impl Drop for Practice {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Facts {
    pub(super) fn reserve(&mut self, request: &sessions::ReserveSlotRequest) -> Result<Reserve, Status> {
        if !self.reserve.is_empty() {
            return Ok(self.reserve.remove(0));
        }
        let appointment = request.appointment_id.parse().unwrap();
        let slot = self.slots.get_mut(&request.session_id.parse().unwrap());
        let Some(slot) = slot.filter(|slot| slot.therapist.to_string() == request.therapist_id) else {
            return Ok(Reserve::Gone);
        };
        let start = prost_types::Timestamp { seconds: slot.start.as_second(), nanos: 0 };
        match slot.state {
            State::Cancelled => return Ok(Reserve::Gone),
            State::Booked(by) if by == appointment => return Ok(Reserve::Booked),
            State::Booked(_) => return Ok(Reserve::Taken),
            State::Available if request.start != Some(start) => return Ok(Reserve::Moved),
            State::Available if slot.undelivered.is_some() => return Err(unavailable()),
            State::Available => {}
        }
        let booked = SessionBooked {
            session_id: request.session_id.clone(),
            therapist_id: request.therapist_id.clone(),
            client_id: request.client_id.clone(),
            appointment_id: request.appointment_id.clone(),
            start: Some(start),
            start_date: slot.start.to_string(),
            unasked: false,
        };
        slot.state = State::Booked(appointment);
        slot.undelivered = Some(Kind::SessionBooked(booked));
        self.events.extend(slot.undelivered.clone());
        Ok(Reserve::Booked)
    }

    fn release(&mut self, session: &str, appointment: &str) {
        let Some(slot) = self.slots.get_mut(&session.parse().unwrap()) else { return };
        if slot.state == State::Booked(appointment.parse().unwrap()) {
            (slot.state, slot.undelivered) = (State::Available, None);
        }
    }

    /// Withdraws a session of the therapist.
    pub(super) fn withdraw(&mut self, session: SessionId, available: bool) {
        let Some(slot) = self.slots.get_mut(&session).filter(|slot| slot.undelivered.is_none()) else { return };
        let appointment_id = match slot.state {
            State::Booked(by) => by.to_string(),
            State::Available if !available => String::new(),
            State::Available | State::Cancelled => return,
        };
        slot.state = if available { State::Available } else { State::Cancelled };
        let session_id = session.to_string();
        slot.undelivered = Some(Kind::SessionWithdrawn(SessionWithdrawn { session_id, appointment_id, available }));
        self.events.extend(slot.undelivered.clone());
    }

    /// Marks an event as delivered.
    pub(super) fn acknowledge(&mut self, kind: &Kind) {
        for slot in self.slots.values_mut().filter(|slot| slot.undelivered.as_ref() == Some(kind)) {
            slot.undelivered = None;
        }
    }

    fn check_available(&self) -> Result<(), Status> {
        if self.unavailable { Err(unavailable()) } else { Ok(()) }
    }
}

#[tonic::async_trait]
impl SlotService for Shared {
    async fn find_slot(
        &self,
        request: Request<sessions::FindSlotRequest>,
    ) -> Result<Response<sessions::FindSlotResponse>, Status> {
        let sessions::FindSlotRequest { session_id, therapist_id, time } = request.into_inner();
        let mut facts = self.0.lock().unwrap();
        let scripted = if facts.find.is_empty() { None } else { Some(facts.find.remove(0)) };
        let meant = |(id, slot): &(&SessionId, &Slot)| match session_id.parse::<SessionId>() {
            Ok(session) => session == **id,
            Err(_) => time.is_some_and(|time| time.seconds == slot.start.as_second()),
        };
        let mut theirs = facts.slots.iter().filter(|(_, slot)| slot.therapist.to_string() == therapist_id);
        let (outcome, session_id, start) = match theirs.find(meant) {
            None | Some((_, Slot { state: State::Cancelled, .. })) => (Find::None, String::new(), None),
            // A booked slot is hidden from a lookup by time alone, and once its session has begun.
            Some((_, slot @ Slot { state: State::Booked(_), .. }))
                if session_id.is_empty() || slot.start <= facts.now =>
            {
                (Find::None, String::new(), None)
            }
            Some((_, Slot { state: State::Booked(_), .. })) => (Find::Taken, String::new(), None),
            Some((_, slot)) if slot.start <= facts.now => (Find::Past, String::new(), None),
            Some((_, slot)) if time.is_some_and(|time| time.seconds != slot.start.as_second()) => {
                (Find::OtherTime, String::new(), None)
            }
            Some((id, slot)) => {
                let start = prost_types::Timestamp { seconds: slot.start.as_second(), nanos: 0 };
                (Find::Available, id.to_string(), Some(start))
            }
        };
        let outcome = scripted.unwrap_or(outcome).into();
        Ok(Response::new(sessions::FindSlotResponse { outcome, session_id, start }))
    }

    async fn reserve_slot(
        &self,
        request: Request<sessions::ReserveSlotRequest>,
    ) -> Result<Response<sessions::ReserveSlotResponse>, Status> {
        let outcome = self.0.lock().unwrap().reserve(request.get_ref())?.into();
        Ok(Response::new(sessions::ReserveSlotResponse { outcome }))
    }

    async fn batch_get_slot_ends(
        &self,
        request: Request<sessions::BatchGetSlotEndsRequest>,
    ) -> Result<Response<sessions::BatchGetSlotEndsResponse>, Status> {
        let facts = self.0.lock().unwrap();
        let end = |session_id: String| {
            let slot = facts.slots.get(&session_id.parse().unwrap())?;
            let seconds = slot.start.as_second() + 50 * 60;
            let end = Some(prost_types::Timestamp { seconds, nanos: 0 });
            matches!(slot.state, State::Booked(_)).then_some(sessions::SlotEnd { session_id, end })
        };
        let ends = request.into_inner().session_ids.into_iter().filter_map(end).collect();
        Ok(Response::new(sessions::BatchGetSlotEndsResponse { ends }))
    }

    async fn release_slot(
        &self,
        request: Request<sessions::ReleaseSlotRequest>,
    ) -> Result<Response<sessions::ReleaseSlotResponse>, Status> {
        let mut facts = self.0.lock().unwrap();
        facts.check_available()?;
        let sessions::ReleaseSlotRequest { session_id, appointment_id } = request.into_inner();
        facts.release(&session_id, &appointment_id);
        Ok(Response::new(sessions::ReleaseSlotResponse {}))
    }
}

#[tonic::async_trait]
impl SubscriberService for Shared {
    async fn deliver(&self, request: Request<DeliverRequest>) -> Result<Response<DeliverResponse>, Status> {
        let mut facts = self.0.lock().unwrap();
        facts.check_available()?;
        match request.into_inner().event.and_then(|event| event.kind) {
            Some(Kind::AppointmentRevoked(revoked)) => facts.release(&revoked.session_id, &revoked.appointment_id),
            other => panic!("sessions receives {other:?}"),
        }
        Ok(Response::new(DeliverResponse {}))
    }
}

/// Returns an unavailability error with a code that the client does not retry.
fn unavailable() -> Status {
    Status::new(Code::ResourceExhausted, "the test says so")
}

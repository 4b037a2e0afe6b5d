//! Implements the RPCs: authorizes requests and converts between protos and use cases.

use std::sync::Arc;

use chassis::{Context, paged, tagged, to_status};
use kernel::{Error, Page, Result as Outcome, zip_violations};
use prost::Message as _;
use proto::appointments::v1 as pb;
use proto::appointments::v1::appointment_service_server::AppointmentService;
use proto::events::v1 as events;
use subscriber::{AccountDeletionPermit, EventHandler};
use tonic::{Request, Response, Status};

use crate::model::{Appointment, RelationEnded};
use crate::ops::Ops;
use crate::policy;
use crate::transition::Action;
use crate::wire;

/// Path of this RPC, which separates its idempotency keys from those of others.
const CREATE: &str = "/therapy.appointments.v1.AppointmentService/CreateAppointment";

/// Implementation of the gRPC services.
#[derive(Clone)]
pub(crate) struct Services(pub(crate) Arc<Ops>);

impl Services {
    async fn list(&self, context: &Context, request: pb::ListAppointmentsRequest) -> Outcome<Page<Appointment>> {
        let person = context.person()?;
        let own = policy::list(person, &request.client_id, &request.therapist_id)?;
        self.0.list(own, &wire::wanted(person.role, request)?).await
    }

    async fn create(&self, context: &Context, mut request: pb::CreateAppointmentRequest) -> Outcome<Appointment> {
        let person = context.person()?;
        let asking = policy::ask(person, &request.client_id)?;
        let pb::CreateAppointmentRequest { therapist_id, session_id, client_id, appointment_date: _ } = &mut request;
        convert::id::normalize([therapist_id, session_id, client_id]);
        let (key, caller) = (context.idempotency_key.as_deref(), person.user_id.as_bytes());
        let claim = self.0.idempotency.claim_if_keyed(key, caller, CREATE, &request.encode_to_vec());
        let (wanted, claim) = zip_violations(wire::request(person.user_id, &request), claim)?;
        self.0.create(context, asking, wanted, claim.as_ref()).await
    }

    async fn get(&self, context: &Context, id: &str) -> Outcome<Appointment> {
        self.0.get(policy::read(context.person()?), wire::id(id)?).await
    }

    async fn update(&self, context: &Context, request: pb::UpdateAppointmentStatusRequest) -> Outcome<Appointment> {
        let pb::UpdateAppointmentStatusRequest { appointment_id, status } = request;
        let pb::StatusChange { status, etag } = status.unwrap_or_default();
        let expected = context.expected.and_etag(&etag);
        let (action, expected) = zip_violations(wire::action(status), expected)?;
        let permit = policy::act(context.person()?, action)?;
        self.0.act(context, permit, wire::id(&appointment_id)?, action, &expected).await
    }

    async fn cancel(&self, context: &Context, id: &str) -> Outcome<()> {
        let permit = policy::act(context.person()?, Action::Cancel)?;
        self.0.cancel(permit, wire::id(id)?, &context.expected).await
    }

    fn shown(&self, appointment: Result<Appointment, Error>) -> Result<Response<pb::Appointment>, Status> {
        let appointment = appointment.map_err(to_status)?;
        Ok(tagged(wire::appointment(&appointment, self.0.now())))
    }
}

#[tonic::async_trait]
impl AppointmentService for Services {
    async fn list_appointments(
        &self,
        request: Request<pb::ListAppointmentsRequest>,
    ) -> Result<Response<pb::ListAppointmentsResponse>, Status> {
        let context = Context::of(&request);
        let page = self.list(&context, request.into_inner()).await.map_err(to_status)?;
        let next = page.next.clone();
        Ok(paged(wire::appointments(page, self.0.now()), next.as_deref()))
    }

    async fn create_appointment(
        &self,
        request: Request<pb::CreateAppointmentRequest>,
    ) -> Result<Response<pb::Appointment>, Status> {
        let context = Context::of(&request);
        self.shown(self.create(&context, request.into_inner()).await)
    }

    async fn get_appointment(
        &self,
        request: Request<pb::GetAppointmentRequest>,
    ) -> Result<Response<pb::Appointment>, Status> {
        let context = Context::of(&request);
        self.shown(self.get(&context, &request.into_inner().appointment_id).await)
    }

    async fn get_appointment_status(
        &self,
        request: Request<pb::GetAppointmentStatusRequest>,
    ) -> Result<Response<pb::AppointmentStatus>, Status> {
        let context = Context::of(&request);
        let there = self.get(&context, &request.into_inner().appointment_id).await.map_err(to_status)?;
        Ok(Response::new(wire::status(&there, self.0.now())))
    }

    async fn update_appointment_status(
        &self,
        request: Request<pb::UpdateAppointmentStatusRequest>,
    ) -> Result<Response<pb::Appointment>, Status> {
        let context = Context::of(&request);
        self.shown(self.update(&context, request.into_inner()).await)
    }

    async fn cancel_appointment(
        &self,
        request: Request<pb::CancelAppointmentRequest>,
    ) -> Result<Response<pb::CancelAppointmentResponse>, Status> {
        let context = Context::of(&request);
        self.cancel(&context, &request.into_inner().appointment_id).await.map_err(to_status)?;
        Ok(Response::new(pb::CancelAppointmentResponse {}))
    }
}

impl EventHandler for Services {
    async fn account_deleted(&self, context: &Context, permit: AccountDeletionPermit) -> Outcome<()> {
        self.0.handle_account_deleted(context, permit).await
    }

    async fn session_booked(&self, context: &Context, event: events::SessionBooked) -> Outcome<()> {
        self.0.apply_booking(context, &wire::session_booked(&event)?).await
    }

    async fn session_withdrawn(&self, _: &Context, event: events::SessionWithdrawn) -> Outcome<()> {
        self.0.withdraw(wire::session_withdrawn(&event)?).await
    }

    async fn relation_ended(&self, _: &Context, event: events::RelationEnded) -> Outcome<()> {
        let RelationEnded { pair, version } = wire::relation_ended(&event)?;
        self.0.end_relation(policy::withdrawal(pair), version).await
    }
}

//! Implements the RPCs with which other services ask for facts about appointments.

use std::collections::BTreeSet;

use chassis::{Context, to_status};
use kernel::{ClientId, Result as Outcome, SessionId};
use proto::appointments::v1 as pb;
use proto::appointments::v1::appointment_facts_service_server::AppointmentFactsService;
use tonic::{Request, Response, Status};

use crate::ops::Ops;
use crate::policy::{self, Own};
use crate::service::Services;
use crate::transition::StoredStatus;

/// Maximum clients of one request.
const MAX_CLIENTS: usize = 200;

impl Ops {
    /// Returns the clients among these with a pending request to this therapist, or an appointment that is not over;
    /// none for a client who asks.
    ///
    /// Open appointments are read consistently. Sessions is asked only for the ends of sessions that began less than a
    /// day ago, because no session lasts a day.
    pub(crate) async fn with_open(
        &self,
        context: &Context,
        own: Own,
        clients: BTreeSet<ClientId>,
    ) -> Outcome<BTreeSet<ClientId>> {
        let now = self.now();
        let (mut open, mut begun) = (BTreeSet::new(), Vec::<(ClientId, SessionId)>::new());
        for it in self.store.listed_with(own, &clients, now).await? {
            if !clients.contains(&it.client) {
                continue;
            }
            if it.starts > now {
                open.insert(it.client);
            } else if it.stored_status == StoredStatus::Accepted {
                begun.push((it.client, it.session));
            }
        }
        begun.retain(|(client, _)| !open.contains(client));
        if !begun.is_empty() {
            let ends = self.sessions.ends(context, begun.iter().map(|(_, session)| *session)).await?;
            let lasts = |session| ends.get(session).is_some_and(|end| *end > now);
            open.extend(begun.iter().filter(|(_, session)| lasts(session)).map(|(client, _)| *client));
        }
        Ok(open)
    }
}

impl Services {
    async fn filter_clients(
        &self,
        context: &Context,
        request: pb::FilterClientsWithOpenAppointmentRequest,
    ) -> Outcome<BTreeSet<ClientId>> {
        let own = policy::own(context.person()?);
        let pb::FilterClientsWithOpenAppointmentRequest { client_ids } = request;
        let clients = convert::batch::from_proto("clientIds", &client_ids, MAX_CLIENTS)?;
        self.0.with_open(context, own, clients).await
    }
}

#[tonic::async_trait]
impl AppointmentFactsService for Services {
    async fn filter_clients_with_open_appointment(
        &self,
        request: Request<pb::FilterClientsWithOpenAppointmentRequest>,
    ) -> Result<Response<pb::FilterClientsWithOpenAppointmentResponse>, Status> {
        let context = Context::of(&request);
        let open = self.filter_clients(&context, request.into_inner()).await.map_err(to_status)?;
        let client_ids = open.iter().map(ClientId::to_string).collect();
        Ok(Response::new(pb::FilterClientsWithOpenAppointmentResponse { client_ids }))
    }
}

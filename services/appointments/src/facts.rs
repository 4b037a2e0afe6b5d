//! The facts about appointments that other services ask for.

use std::collections::BTreeSet;

use chassis::{Context, to_status};
use kernel::{ClientId, Error, Result as Outcome, SessionId};
use proto::appointments::v1 as pb;
use proto::appointments::v1::appointment_facts_service_server::AppointmentFactsService;
use tonic::{Request, Response, Status};

use crate::ops::Ops;
use crate::policy::{self, Own};
use crate::service::Services;
use crate::transition::Standing;

/// Maximum clients of one question.
const MOST_CLIENTS: usize = 200;

impl Ops {
    /// Those of these clients who have a request of this therapist's that waits, or an appointment that is not over.
    ///
    /// What is open is a consistent read. When a session ends is for sessions to say, and is asked of those alone that have
    /// begun and not yet lasted a day, which no session does.
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
            } else if it.standing == Standing::Accepted {
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

#[tonic::async_trait]
impl AppointmentFactsService for Services {
    async fn filter_clients_with_open_appointment(
        &self,
        request: Request<pb::FilterClientsWithOpenAppointmentRequest>,
    ) -> Result<Response<pb::FilterClientsWithOpenAppointmentResponse>, Status> {
        let context = Context::of(&request);
        let person = context.person().map_err(to_status)?;
        let pb::FilterClientsWithOpenAppointmentRequest { client_ids } = request.into_inner();
        if client_ids.len() > MOST_CLIENTS {
            return Err(to_status(Error::invalid("clientIds", "must be 200 at most")));
        }
        // What is no id is no client's.
        let clients: BTreeSet<_> = client_ids.iter().filter_map(|id| id.parse().ok()).collect();
        let open = match policy::own(person) {
            own @ Own::Therapist(_) => self.0.with_open(&context, own, clients).await.map_err(to_status)?,
            Own::Client(_) => BTreeSet::new(),
        };
        let client_ids = open.iter().map(ClientId::to_string).collect();
        Ok(Response::new(pb::FilterClientsWithOpenAppointmentResponse { client_ids }))
    }
}

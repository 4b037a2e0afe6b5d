//! Implements the RPCs that other services call. Refusals are values of the answer: an error is a fault or a malformed
//! request.

use std::collections::BTreeSet;

use chassis::{Context, to_status};
use kernel::{Error, Kind, Page};
use proto::mapping::v1 as pb;
use proto::mapping::v1::consent_service_server::ConsentService;
use subscriber::{AccountDeletionPermit, EventHandler};
use tonic::{Request, Response, Status};

use crate::model::{ContactOutcome, Grant, Relation};
use crate::policy::{self, Act, Side};
use crate::searchable::SearchableClients;
use crate::service::Services;
use crate::wire;

/// Maximum clients in one request for grants.
const MAX_CLIENTS: usize = 100;

#[tonic::async_trait]
impl ConsentService for Services {
    async fn check_journal_access(
        &self,
        request: Request<pb::CheckJournalAccessRequest>,
    ) -> Result<Response<pb::CheckJournalAccessResponse>, Status> {
        let context = Context::of(&request);
        let grant = self.journal_access(&context, request.into_inner()).await.map_err(to_status)?;
        Ok(Response::new(grant.map(granted).unwrap_or_default()))
    }

    async fn batch_check_journal_access(
        &self,
        request: Request<pb::BatchCheckJournalAccessRequest>,
    ) -> Result<Response<pb::BatchCheckJournalAccessResponse>, Status> {
        let context = Context::of(&request);
        self.journal_grants(&context, request.into_inner()).await.map(Response::new).map_err(to_status)
    }

    async fn list_searchable_clients(
        &self,
        request: Request<pb::ListSearchableClientsRequest>,
    ) -> Result<Response<pb::ListSearchableClientsResponse>, Status> {
        let context = Context::of(&request);
        self.searchable(&context, request.into_inner()).await.map(Response::new).map_err(to_status)
    }

    async fn check_relation(
        &self,
        request: Request<pb::CheckRelationRequest>,
    ) -> Result<Response<pb::CheckRelationResponse>, Status> {
        let context = Context::of(&request);
        let relation = self.relation(&context, request.into_inner()).await.map_err(to_status)?;
        let now = self.0.now();
        Ok(Response::new(pb::CheckRelationResponse {
            agreed: relation.as_ref().is_some_and(|it| it.is_agreed(now)),
            mapped: relation.as_ref().is_some_and(|it| it.is_mapped(now)),
        }))
    }

    async fn list_agreed_clients(
        &self,
        request: Request<pb::ListAgreedClientsRequest>,
    ) -> Result<Response<pb::ListAgreedClientsResponse>, Status> {
        let context = Context::of(&request);
        self.agreed(&context, request.into_inner()).await.map(Response::new).map_err(to_status)
    }

    async fn record_contact(
        &self,
        request: Request<pb::RecordContactRequest>,
    ) -> Result<Response<pb::RecordContactResponse>, Status> {
        let context = Context::of(&request);
        let outcome = self.record(&context, request.into_inner()).await.map_err(to_status)?;
        Ok(Response::new(wire::contact_outcome(outcome)))
    }
}

impl EventHandler for Services {
    async fn account_deleted(&self, _: &Context, permit: AccountDeletionPermit) -> Result<(), Error> {
        self.0.handle_account_deleted(permit).await
    }
}

impl Services {
    async fn journal_access(
        &self,
        context: &Context,
        request: pb::CheckJournalAccessRequest,
    ) -> Result<Option<Grant>, Error> {
        match towards(context, &request.client_id)? {
            Some(permit) => self.0.journal_access(permit).await,
            None => Ok(None),
        }
    }

    async fn journal_grants(
        &self,
        context: &Context,
        request: pb::BatchCheckJournalAccessRequest,
    ) -> Result<pb::BatchCheckJournalAccessResponse, Error> {
        let pb::BatchCheckJournalAccessRequest { client_ids } = request;
        let Side::Therapist(own) = policy::side(context.person()?) else {
            return Ok(pb::BatchCheckJournalAccessResponse::default());
        };
        let clients: BTreeSet<_> = convert::batch::from_proto("clientIds", &client_ids, MAX_CLIENTS)?;
        let permits: Vec<_> = clients.into_iter().map(|client| own.towards(client)).collect();
        let grants = self.0.journal_grants(&permits).await?;
        let grants = grants.into_iter().map(|(client, grant)| wire::journal_grant(client, grant)).collect();
        Ok(pb::BatchCheckJournalAccessResponse { grants })
    }

    async fn searchable(
        &self,
        context: &Context,
        request: pb::ListSearchableClientsRequest,
    ) -> Result<pb::ListSearchableClientsResponse, Error> {
        let pb::ListSearchableClientsRequest { client_id, with_agreement } = request;
        let Side::Therapist(own) = policy::side(context.person()?) else {
            return Ok(pb::ListSearchableClientsResponse::default());
        };
        let found = if client_id.is_empty() {
            self.0.searchable_clients(own, with_agreement).await?
        } else if let Ok(client) = client_id.parse() {
            let relation = self.0.searchable_client(own.towards(client)).await?;
            SearchableClients::Found(relation.into_iter().collect())
        } else {
            SearchableClients::Found(Vec::new())
        };
        Ok(wire::searchable_clients(&found, with_agreement, self.0.now()))
    }

    async fn relation(&self, context: &Context, request: pb::CheckRelationRequest) -> Result<Option<Relation>, Error> {
        match towards(context, &request.client_id)? {
            Some(permit) => self.0.relation(permit).await,
            None => Ok(None),
        }
    }

    async fn agreed(
        &self,
        context: &Context,
        request: pb::ListAgreedClientsRequest,
    ) -> Result<pb::ListAgreedClientsResponse, Error> {
        let pb::ListAgreedClientsRequest { page_size, page_token } = request;
        let Side::Therapist(own) = policy::side(context.person()?) else {
            return Ok(pb::ListAgreedClientsResponse::default());
        };
        let wanted = wire::wanted(page_size, &page_token)?;
        let Page { items, next } = match self.0.agreed(own, wanted).await {
            Ok(page) => page,
            // The size was checked above: the invalid argument is the token.
            Err(error) if error.kind() == Kind::InvalidArgument => {
                return Ok(pb::ListAgreedClientsResponse { bad_page_token: true, ..Default::default() });
            }
            Err(error) => return Err(error),
        };
        let now = self.0.now();
        let mapped = items.iter().filter(|relation| relation.is_mapped(now));
        Ok(pb::ListAgreedClientsResponse {
            bad_page_token: false,
            mapped_client_ids: mapped.map(|relation| relation.client_id.to_string()).collect(),
            client_ids: items.iter().map(|relation| relation.client_id.to_string()).collect(),
            next_page_token: next.unwrap_or_default(),
        })
    }

    async fn record(&self, context: &Context, request: pb::RecordContactRequest) -> Result<ContactOutcome, Error> {
        let pb::RecordContactRequest { peer_id, kind } = request;
        let channel = wire::channel(kind)?;
        match with_peer(context, &peer_id)? {
            Some(permit) => self.0.record_contact(context, permit, channel).await,
            None => Ok(ContactOutcome::NoSuchPeer),
        }
    }
}

/// Returns the permit of the calling therapist for the relation with a client; `None` for other callers and invalid
/// ids.
fn towards(context: &Context, client_id: &str) -> Result<Option<Act>, Error> {
    match policy::side(context.person()?) {
        Side::Therapist(own) => Ok(client_id.parse().ok().map(|client| own.towards(client))),
        Side::Client(_) => Ok(None),
    }
}

/// Returns the caller's permit for the relation with a person on the other side; `None` for an invalid id.
fn with_peer(context: &Context, peer_id: &str) -> Result<Option<Act>, Error> {
    Ok(match policy::side(context.person()?) {
        Side::Client(own) => peer_id.parse().ok().map(|therapist| own.towards(therapist)),
        Side::Therapist(own) => peer_id.parse().ok().map(|client| own.towards(client)),
    })
}

fn granted(grant: Grant) -> pb::CheckJournalAccessResponse {
    let Grant { id, limits } = grant;
    pb::CheckJournalAccessResponse {
        granted: true,
        grant_id: id.to_string(),
        entries_from: limits.entries_from.map(convert::time::utc_to_proto),
    }
}

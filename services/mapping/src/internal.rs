//! Implements the RPCs that other services call. Refusals are values of the answer: an error is a fault or a malformed
//! request.

use chassis::{Context, to_status};
use kernel::{Error, Kind, Page, Role, UserId, Violations};
use proto::events::v1 as events;
use proto::events::v1::account_ended::Role as EndedRole;
use proto::events::v1::event::Kind as EventKind;
use proto::events::v1::subscriber_service_server::SubscriberService;
use proto::mapping::v1 as pb;
use proto::mapping::v1::consent_service_server::ConsentService;
use tonic::{Request, Response, Status};

use crate::model::{ContactOutcome, Grant};
use crate::policy::{self, AccountDeletionPermit, Act, Side};
use crate::service::Services;
use crate::wire;

#[tonic::async_trait]
impl ConsentService for Services {
    async fn check_journal_access(
        &self,
        request: Request<pb::CheckJournalAccessRequest>,
    ) -> Result<Response<pb::CheckJournalAccessResponse>, Status> {
        let context = Context::of(&request);
        let pb::CheckJournalAccessRequest { client_id } = request.into_inner();
        let grant = match towards(&context, &client_id).map_err(to_status)? {
            Some(permit) => self.0.journal_access(permit).await.map_err(to_status)?,
            None => None,
        };
        Ok(Response::new(grant.map(granted).unwrap_or_default()))
    }

    async fn check_relation(
        &self,
        request: Request<pb::CheckRelationRequest>,
    ) -> Result<Response<pb::CheckRelationResponse>, Status> {
        let context = Context::of(&request);
        let pb::CheckRelationRequest { client_id } = request.into_inner();
        let relation = match towards(&context, &client_id).map_err(to_status)? {
            Some(permit) => self.0.relation(permit).await.map_err(to_status)?,
            None => None,
        };
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
        let pb::ListAgreedClientsRequest { page_size, page_token } = request.into_inner();
        let Side::Therapist(own) = policy::side(context.person().map_err(to_status)?) else {
            return Ok(Response::new(pb::ListAgreedClientsResponse::default()));
        };
        let wanted = wire::wanted(page_size, &page_token).map_err(to_status)?;
        let Page { items, next } = match self.0.agreed(own, wanted).await {
            Ok(page) => page,
            // The size was checked above: the invalid argument is the token.
            Err(error) if error.kind() == Kind::InvalidArgument => {
                let bad_token = pb::ListAgreedClientsResponse { bad_page_token: true, ..Default::default() };
                return Ok(Response::new(bad_token));
            }
            Err(error) => return Err(to_status(error)),
        };
        let now = self.0.now();
        let mapped = items.iter().filter(|relation| relation.is_mapped(now));
        Ok(Response::new(pb::ListAgreedClientsResponse {
            bad_page_token: false,
            mapped_client_ids: mapped.map(|relation| relation.client_id.to_string()).collect(),
            client_ids: items.iter().map(|relation| relation.client_id.to_string()).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn record_contact(
        &self,
        request: Request<pb::RecordContactRequest>,
    ) -> Result<Response<pb::RecordContactResponse>, Status> {
        let context = Context::of(&request);
        let pb::RecordContactRequest { peer_id, kind } = request.into_inner();
        let channel = wire::channel(kind).map_err(to_status)?;
        let outcome = match with_peer(&context, &peer_id).map_err(to_status)? {
            Some(permit) => self.0.record_contact(&context, permit, channel).await.map_err(to_status)?,
            None => ContactOutcome::NoSuchPeer,
        };
        Ok(Response::new(wire::contact_outcome(outcome)))
    }
}

#[tonic::async_trait]
impl SubscriberService for Services {
    async fn deliver(
        &self,
        request: Request<events::DeliverRequest>,
    ) -> Result<Response<events::DeliverResponse>, Status> {
        let events::DeliverRequest { event } = request.into_inner();
        // A kind that this version doesn't know decodes as none, and is acknowledged.
        if let Some(EventKind::AccountEnded(ended)) = event.and_then(|event| event.kind) {
            self.0
                .handle_account_deleted(account_deletion_permit(&ended).map_err(to_status)?)
                .await
                .map_err(to_status)?;
        }
        Ok(Response::new(events::DeliverResponse {}))
    }
}

fn account_deletion_permit(ended: &events::AccountEnded) -> Result<AccountDeletionPermit, Error> {
    let mut bad = Violations::default();
    let id = bad.check("event.accountEnded.userId", ended.user_id.parse::<UserId>());
    let role = match ended.role() {
        EndedRole::Client => Some(Role::Client),
        EndedRole::Therapist => Some(Role::Therapist),
        EndedRole::Unspecified => {
            bad.add("event.accountEnded.role", "must be CLIENT or THERAPIST");
            None
        }
    };
    let (role, id) = role.zip(id).ok_or_else(|| bad.into_error())?;
    Ok(AccountDeletionPermit::of(role, id))
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
        entries_from: limits.entries_from.map(wire::time),
    }
}

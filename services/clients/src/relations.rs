//! Asks mapping and appointments for the relations of clients to the calling therapist.

use std::collections::HashSet;

use chassis::Context;
use chassis::client::Upstream;
use kernel::{ClientId, Error, Page, PageSize, Result};
use proto::appointments::v1::FilterClientsWithOpenAppointmentRequest;
use proto::appointments::v1::appointment_facts_service_client::AppointmentFactsServiceClient;
use proto::mapping::v1::consent_service_client::ConsentServiceClient;
use proto::mapping::v1::{CheckRelationRequest, ListAgreedClientsRequest, ListAgreedClientsResponse};

use crate::error::invalid_page_token;

/// Proof that a client has a close relation, which shows the profile, to the calling therapist: a mapping, an
/// unanswered request for a session, or an appointment that is not over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Close(ClientId);

/// Proof that a client has agreed to contact with the calling therapist, and has no close relation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InContact(ClientId);

/// The relation of a client who has agreed to it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Related {
    Close(Close),
    InContact(InContact),
}

impl Close {
    pub(crate) const fn client(self) -> ClientId {
        self.0
    }

    #[cfg(test)]
    pub(crate) const fn to(client: ClientId) -> Self {
        Self(client)
    }
}

impl InContact {
    pub(crate) const fn client(self) -> ClientId {
        self.0
    }

    #[cfg(test)]
    pub(crate) const fn with(client: ClientId) -> Self {
        Self(client)
    }
}

/// The services that hold relations.
#[derive(Debug, Clone)]
pub(crate) struct Relations {
    mapping: Upstream,
    appointments: Upstream,
}

impl Relations {
    pub(crate) const fn new(mapping: Upstream, appointments: Upstream) -> Self {
        Self { mapping, appointments }
    }

    /// Returns the close relation of this client to the therapist of the context, if there is one.
    pub(crate) async fn with(&self, context: &Context, client: ClientId) -> Result<Option<Close>> {
        let request = CheckRelationRequest { client_id: client.to_string() };
        let check =
            |transport, request| async move { ConsentServiceClient::new(transport).check_relation(request).await };
        let is_mapped = self.mapping.call(context, request, check).await?.mapped;
        let is_close = is_mapped || !self.with_open_appointment(context, vec![client.to_string()]).await?.is_empty();
        Ok(is_close.then_some(Close(client)))
    }

    /// Returns one page of the clients who have agreed to a relation to the therapist of the context, in the order of
    /// their ids.
    pub(crate) async fn page(&self, context: &Context, size: PageSize, token: String) -> Result<Page<Related>> {
        let request = ListAgreedClientsRequest { page_size: size.get().into(), page_token: token };
        let list =
            |transport, request| async move { ConsentServiceClient::new(transport).list_agreed_clients(request).await };
        let ListAgreedClientsResponse { bad_page_token, client_ids, next_page_token, mapped_client_ids } =
            self.mapping.call(context, request, list).await?;
        if bad_page_token {
            return Err(invalid_page_token());
        }
        let mut close: HashSet<_> = mapped_client_ids.into_iter().collect();
        let others: Vec<_> = client_ids.iter().filter(|id| !close.contains(*id)).cloned().collect();
        close.extend(self.with_open_appointment(context, others).await?);
        let related = client_ids.iter().map(|id| {
            let client = id.parse().map_err(Error::internal)?;
            let is_close = close.contains(id);
            Ok(if is_close { Related::Close(Close(client)) } else { Related::InContact(InContact(client)) })
        });
        let items = related.collect::<Result<_>>()?;
        Ok(Page { items, next: convert::page::token_from_proto(next_page_token) })
    }

    /// Returns those of these clients who have an appointment with the therapist of the context that is unanswered or
    /// not over.
    async fn with_open_appointment(&self, context: &Context, client_ids: Vec<String>) -> Result<Vec<String>> {
        if client_ids.is_empty() {
            return Ok(Vec::new());
        }
        let filter = |transport, request| async move {
            AppointmentFactsServiceClient::new(transport).filter_clients_with_open_appointment(request).await
        };
        let request = FilterClientsWithOpenAppointmentRequest { client_ids };
        Ok(self.appointments.call(context, request, filter).await?.client_ids)
    }
}

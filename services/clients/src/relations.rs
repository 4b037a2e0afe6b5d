//! What mapping says of the relations between clients and therapists.

use chassis::Context;
use chassis::client::Upstream;
use kernel::{ClientId, Error, Page, PageSize, Result};
use proto::mapping::v1::consent_service_client::ConsentServiceClient;
use proto::mapping::v1::{CheckRelationRequest, ListAgreedClientsRequest, ListAgreedClientsResponse};

use crate::wire;

/// The fact that a client has agreed to be related to the therapist who calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Agreed(ClientId);

impl Agreed {
    /// The client who has agreed.
    pub(crate) const fn client(self) -> ClientId {
        self.0
    }

    #[cfg(test)]
    pub(crate) const fn by(client: ClientId) -> Self {
        Self(client)
    }
}

/// Where relations are asked for.
#[derive(Debug, Clone)]
pub(crate) struct Relations(Upstream);

impl Relations {
    pub(crate) const fn new(mapping: Upstream) -> Self {
        Self(mapping)
    }

    /// Whether this client has agreed to be related to the therapist of the context.
    pub(crate) async fn with(&self, context: &Context, client: ClientId) -> Result<Option<Agreed>> {
        let request = CheckRelationRequest { client_id: client.to_string() };
        let check =
            |transport, request| async move { ConsentServiceClient::new(transport).check_relation(request).await };
        let answer = self.0.call(context, request, check).await?;
        Ok(answer.agreed.then_some(Agreed(client)))
    }

    /// One page of those who have agreed to be related to the therapist of the context, in the order of their ids.
    pub(crate) async fn page(&self, context: &Context, size: PageSize, token: String) -> Result<Page<Agreed>> {
        let request = ListAgreedClientsRequest { page_size: size.get().into(), page_token: token };
        let list =
            |transport, request| async move { ConsentServiceClient::new(transport).list_agreed_clients(request).await };
        let ListAgreedClientsResponse { bad_page_token, client_ids, next_page_token } =
            self.0.call(context, request, list).await?;
        if bad_page_token {
            return Err(wire::bad_page_token());
        }
        let agreed = client_ids.iter().map(|id| id.parse().map(Agreed));
        let items = agreed.collect::<std::result::Result<_, _>>().map_err(Error::internal)?;
        Ok(Page { items, next: Some(next_page_token).filter(|token| !token.is_empty()) })
    }
}

//! Looks up the names of clients.

use std::collections::HashMap;

use chassis::Context;
use chassis::client::Upstream;
use kernel::{ClientId, Result};
use proto::clients::v1::client_name_service_client::ClientNameServiceClient;
use proto::clients::v1::{BatchGetClientNamesRequest, ClientName};

/// Client of the clients service for names. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ClientNames(Upstream);

impl ClientNames {
    /// A client that calls clients at this upstream.
    #[must_use]
    pub const fn new(clients: Upstream) -> Self {
        Self(clients)
    }

    /// Returns the names of at most 200 clients, by one call. Those without a profile are left out.
    ///
    /// # Errors
    /// UNAVAILABLE, DEADLINE_EXCEEDED or INTERNAL when clients gives no answer.
    pub async fn of(
        &self,
        context: &Context,
        ids: impl IntoIterator<Item = ClientId>,
    ) -> Result<HashMap<ClientId, String>> {
        let client_ids: Vec<_> = ids.into_iter().map(|id| id.to_string()).collect();
        if client_ids.is_empty() {
            return Ok(HashMap::new());
        }
        let get = |transport, request| async move {
            ClientNameServiceClient::new(transport).batch_get_client_names(request).await
        };
        let answer = self.0.call(context, BatchGetClientNamesRequest { client_ids }, get).await?;
        let named = |ClientName { client_id, name }| Some((client_id.parse().ok()?, name));
        Ok(answer.names.into_iter().filter_map(named).collect())
    }
}

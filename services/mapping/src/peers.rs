//! Looks up the names of the people in a relation at other services; a person without a name has no profile.

use std::collections::HashMap;

use chassis::Context;
use chassis::client::Upstream;
use kernel::{ClientId, Result, TherapistId};
use proto::clients::v1::client_name_service_client::ClientNameServiceClient;
use proto::clients::v1::{BatchGetClientNamesRequest, ClientName};
use proto::therapists::v1::therapist_name_service_client::TherapistNameServiceClient;
use proto::therapists::v1::{BatchGetTherapistNamesRequest, TherapistName};

use crate::error;

/// The services that hold the profiles.
#[derive(Debug)]
pub(crate) struct Peers {
    pub(crate) clients: Upstream,
    pub(crate) therapists: Upstream,
}

/// The therapists of a page who have a profile.
#[derive(Debug, Default)]
pub(crate) struct Therapists(HashMap<String, TherapistName>);

/// The clients of a page who have a profile.
#[derive(Debug, Default)]
pub(crate) struct Clients(HashMap<String, String>);

impl Therapists {
    /// Returns the name and the specialty; both empty for a therapist without a profile.
    pub(crate) fn get(&self, id: TherapistId) -> (String, String) {
        let known = self.0.get(&id.to_string());
        known.map(|known| (known.name.clone(), known.specialty.clone())).unwrap_or_default()
    }
}

impl Clients {
    /// Returns the name; empty for a client without a profile.
    pub(crate) fn get(&self, id: ClientId) -> String {
        self.0.get(&id.to_string()).cloned().unwrap_or_default()
    }
}

impl Peers {
    /// Returns the names of the therapists of one page, by one call.
    pub(crate) async fn therapists(
        &self,
        context: &Context,
        ids: impl Iterator<Item = TherapistId>,
    ) -> Result<Therapists> {
        let therapist_ids: Vec<_> = ids.map(|id| id.to_string()).collect();
        if therapist_ids.is_empty() {
            return Ok(Therapists::default());
        }
        let ask = |transport, request| async move {
            TherapistNameServiceClient::new(transport).batch_get_therapist_names(request).await
        };
        let answer = self.therapists.call(context, BatchGetTherapistNamesRequest { therapist_ids }, ask).await?;
        Ok(Therapists(answer.names.into_iter().map(|name| (name.therapist_id.clone(), name)).collect()))
    }

    /// Returns the names of the clients of one page, by one call.
    pub(crate) async fn clients(&self, context: &Context, ids: impl Iterator<Item = ClientId>) -> Result<Clients> {
        let client_ids: Vec<_> = ids.map(|id| id.to_string()).collect();
        if client_ids.is_empty() {
            return Ok(Clients::default());
        }
        let ask = |transport, request| async move {
            ClientNameServiceClient::new(transport).batch_get_client_names(request).await
        };
        let answer = self.clients.call(context, BatchGetClientNamesRequest { client_ids }, ask).await?;
        let named = |ClientName { client_id, name }| (client_id, name);
        Ok(Clients(answer.names.into_iter().map(named).collect()))
    }

    /// Checks that a therapist with this id has a profile.
    ///
    /// # Errors
    /// NOT_FOUND when no therapist with this id has a profile; UNAVAILABLE or INTERNAL.
    pub(crate) async fn must_have_therapist(&self, context: &Context, id: TherapistId) -> Result<()> {
        if self.has_therapist(context, id).await? { Ok(()) } else { Err(error::no_therapist()) }
    }

    /// Returns whether a therapist with this id has a profile.
    pub(crate) async fn has_therapist(&self, context: &Context, id: TherapistId) -> Result<bool> {
        let found = self.therapists(context, std::iter::once(id)).await?;
        Ok(found.0.contains_key(&id.to_string()))
    }

    /// Checks that a client with this id has a profile.
    ///
    /// # Errors
    /// NOT_FOUND when no client with this id has a profile; UNAVAILABLE or INTERNAL.
    pub(crate) async fn must_have_client(&self, context: &Context, id: ClientId) -> Result<()> {
        let found = self.clients(context, std::iter::once(id)).await?;
        if found.0.contains_key(&id.to_string()) { Ok(()) } else { Err(error::no_client()) }
    }
}

//! Looks up the names and specialties of therapists.

use std::collections::HashMap;

use chassis::Context;
use chassis::client::Upstream;
use kernel::{Result, TherapistId};
use proto::therapists::v1::BatchGetTherapistNamesRequest;
use proto::therapists::v1::therapist_name_service_client::TherapistNameServiceClient;

/// Client of the therapists service for names. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TherapistNames(Upstream);

/// Name and specialty of a therapist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TherapistName {
    /// Name of the therapist.
    pub name: String,
    /// Specialty of the therapist.
    pub specialty: String,
}

impl TherapistNames {
    /// A client that calls therapists at this upstream.
    #[must_use]
    pub const fn new(therapists: Upstream) -> Self {
        Self(therapists)
    }

    /// Returns the names of at most 200 therapists, by one call. Those without a profile are left out.
    ///
    /// # Errors
    /// UNAVAILABLE, DEADLINE_EXCEEDED or INTERNAL when therapists gives no answer.
    pub async fn of(
        &self,
        context: &Context,
        ids: impl IntoIterator<Item = TherapistId>,
    ) -> Result<HashMap<TherapistId, TherapistName>> {
        let therapist_ids: Vec<_> = ids.into_iter().map(|id| id.to_string()).collect();
        if therapist_ids.is_empty() {
            return Ok(HashMap::new());
        }
        let get = |transport, request| async move {
            TherapistNameServiceClient::new(transport).batch_get_therapist_names(request).await
        };
        let answer = self.0.call(context, BatchGetTherapistNamesRequest { therapist_ids }, get).await?;
        let named = |it: proto::therapists::v1::TherapistName| {
            Some((it.therapist_id.parse().ok()?, TherapistName { name: it.name, specialty: it.specialty }))
        };
        Ok(answer.names.into_iter().filter_map(named).collect())
    }
}

//! What can be done with an access log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chassis::Context;
use chassis::client::Upstream;
use dynamo::{PageRequest, PageTokens};
use kernel::{Clock, Entropy, Page, Result, TherapistId};
use proto::therapists::v1::BatchGetTherapistNamesRequest;
use proto::therapists::v1::therapist_name_service_client::TherapistNameServiceClient;

use crate::chain::People;
use crate::model::{Access, AccessId, Facts, Personal};
use crate::policy::{Append, Read};
use crate::store::{Record, Store};

/// The use cases and what they need.
pub(crate) struct Ops {
    pub(crate) store: Store,
    pub(crate) recorder: Recorder,
    pub(crate) tokens: PageTokens,
    pub(crate) therapists: Upstream,
}

/// What records accesses.
pub(crate) struct Recorder {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// A record, with the name of who read.
pub(crate) struct Shown {
    pub(crate) record: Record,
    /// Empty when the therapist has no account any more.
    pub(crate) therapist_name: String,
}

impl Recorder {
    /// Records an access, and answers its id. It is durable when this returns.
    pub(crate) async fn record(&self, permit: Append, access: Access) -> Result<AccessId> {
        let Access { action, entry_count, entry_id, grant_id } = access;
        // The id and the time are of one moment: records sort by the one and show the other.
        let time = self.clock.now();
        let id = AccessId::generate(time, &*self.entropy);
        let personal = Personal { therapist: permit.therapist(), entry_id, grant_id, salt: self.entropy.array() };
        let people = People::of(permit.client(), &personal);
        let facts = Facts { id, time, action, entry_count, people };
        self.store.append(permit, &facts, personal).await?;
        Ok(id)
    }
}

impl Ops {
    /// One page of a log, by one Query and one call for names.
    pub(crate) async fn list(&self, context: &Context, permit: Read, request: PageRequest<'_>) -> Result<Page<Shown>> {
        let Page { items, next } = self.tokens.page(self.store.log(permit), request).await?;
        let records: Vec<Record> = items.into_iter().map(Record::try_from).collect::<Result<_>>()?;
        let names = self.names(context, &records).await?;
        let show = |record: Record| {
            let name = record.personal.as_ref().and_then(|personal| names.get(&personal.therapist.to_string()));
            Shown { therapist_name: name.cloned().unwrap_or_default(), record }
        };
        Ok(Page { items: records.into_iter().map(show).collect(), next })
    }

    /// The names of those who read, by their ids. A page names at most 200 people, which is what one call takes.
    async fn names(&self, context: &Context, records: &[Record]) -> Result<BTreeMap<String, String>> {
        let therapists: BTreeSet<TherapistId> =
            records.iter().filter_map(|record| Some(record.personal.as_ref()?.therapist)).collect();
        if therapists.is_empty() {
            return Ok(BTreeMap::new());
        }
        let request =
            BatchGetTherapistNamesRequest { therapist_ids: therapists.iter().map(ToString::to_string).collect() };
        let get = |transport, request| async move {
            TherapistNameServiceClient::new(transport).batch_get_therapist_names(request).await
        };
        let answer = self.therapists.call(context, request, get).await?;
        Ok(answer.names.into_iter().map(|name| (name.therapist_id, name.name)).collect())
    }
}

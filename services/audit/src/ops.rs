//! Implements the use cases of the access log.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chassis::Context;
use dynamo::{PageRequest, PageTokens};
use kernel::{Clock, Entropy, Page, Result, TherapistId};
use peers::{TherapistName, TherapistNames};

use crate::groups::{self, Group, MAX_RECORDS_READ};
use crate::model::{Access, AccessId, Facts, People, Personal};
use crate::policy::{Append, Read};
use crate::store::{NewRecord, Store};

/// The use cases and their dependencies.
pub(crate) struct Ops {
    pub(crate) store: Store,
    pub(crate) recorder: Recorder,
    pub(crate) tokens: PageTokens,
    pub(crate) therapists: TherapistNames,
}

/// Records accesses.
pub(crate) struct Recorder {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// Accesses with the name of the reader.
pub(crate) struct Shown {
    pub(crate) group: Group,
    /// Empty if the therapist has no account any more.
    pub(crate) therapist_name: String,
}

impl Recorder {
    /// Records an access and returns its id. It is durable when this returns.
    pub(crate) async fn record(&self, permit: Append, access: Access) -> Result<AccessId> {
        let record = self.new_record(permit, access);
        let id = record.facts.id;
        self.store.append(record).await?;
        Ok(id)
    }

    /// Records accesses and returns their ids, in their order. All are durable when this returns; after an error, all
    /// or none are.
    pub(crate) async fn record_all(&self, accesses: Vec<(Append, Access)>) -> Result<Vec<AccessId>> {
        let records: Vec<_> = accesses.into_iter().map(|(permit, access)| self.new_record(permit, access)).collect();
        let ids = records.iter().map(|record| record.facts.id).collect();
        self.store.append_all(records).await?;
        Ok(ids)
    }

    fn new_record(&self, permit: Append, access: Access) -> NewRecord {
        let Access { action, entry_count, entry_id, grant_id } = access;
        // The id and the time are of one moment: records sort by the one and show the other.
        let time = self.clock.now();
        let id = AccessId::generate(time, &*self.entropy);
        let personal = Personal { therapist: permit.therapist(), entry_id, grant_id, salt: self.entropy.array() };
        let people = People::of(permit.client(), &personal);
        NewRecord { permit, facts: Facts { id, time, action, entry_count, people }, personal }
    }
}

impl Ops {
    /// Returns one page of a log, with one call for the names.
    pub(crate) async fn list(&self, context: &Context, permit: Read, request: PageRequest<'_>) -> Result<Page<Shown>> {
        let page = groups::page(&self.store, &self.tokens, permit, request, MAX_RECORDS_READ).await?;
        let names = self.names(context, &page.items).await?;
        Ok(page.map(|group| {
            let personal = group.latest.personal.as_ref();
            let name = personal.and_then(|personal| names.get(&personal.therapist));
            Shown { therapist_name: name.map(|it| it.name.clone()).unwrap_or_default(), group }
        }))
    }

    /// Returns the names of the readers by id. A page has at most 200 of them, the limit of one call.
    async fn names(&self, context: &Context, groups: &[Group]) -> Result<HashMap<TherapistId, TherapistName>> {
        let therapists: BTreeSet<TherapistId> =
            groups.iter().filter_map(|group| Some(group.latest.personal.as_ref()?.therapist)).collect();
        self.therapists.of(context, therapists).await
    }
}

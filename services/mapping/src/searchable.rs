//! Use cases of a search: the clients among whose texts a therapist may search.
//!
//! They are those who have agreed to be related. A client whose journal the therapist may read is one of them: a grant
//! holds only while the two are mapped.

use dynamo::Cursor;
use kernel::Result;

use crate::model::Relation;
use crate::ops::Ops;
use crate::policy::{Act, AsTherapist};

/// Limits of the list of all clients.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListLimits {
    /// Maximum clients in the list.
    pub(crate) clients: u16,
    /// Maximum relations to read for it. Those count too that are not in the list: requests, and relations that have
    /// ended.
    pub(crate) relations: u16,
}

/// Limits of the answer to search. Relations may be ten times as many, so that relations that no client agrees to switch
/// off no search.
const LIMITS: ListLimits = ListLimits { clients: 1_000, relations: 10_000 };

/// Clients of a therapist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SearchableClients {
    /// The relations with them, in the order of the clients' ids.
    Found(Vec<Relation>),
    /// A limit of the list is exceeded.
    TooMany,
}

impl Ops {
    /// Returns the relation with one client, read consistently, if the therapist may search among this client's texts.
    pub(crate) async fn searchable_client(&self, permit: Act) -> Result<Option<Relation>> {
        Ok(self.relation(permit).await?.filter(|it| it.is_agreed(self.now())))
    }

    /// Returns the relations with all clients among whose texts the therapist may search.
    ///
    /// The index finds them: a relation that has just begun may be missing. With agreement, their states are read from the
    /// table, consistently: the index lags, and may still list a relation that has ended.
    pub(crate) async fn searchable_clients(
        &self,
        permit: AsTherapist,
        with_agreement: bool,
    ) -> Result<SearchableClients> {
        self.searchable_clients_within(LIMITS, permit, with_agreement).await
    }

    /// Returns the same within these limits.
    pub(crate) async fn searchable_clients_within(
        &self,
        limits: ListLimits,
        permit: AsTherapist,
        with_agreement: bool,
    ) -> Result<SearchableClients> {
        let Some(listed) = self.listed(limits, permit).await? else {
            return Ok(SearchableClients::TooMany);
        };
        let relations = if with_agreement { self.still_agreed(permit, &listed).await? } else { listed };
        Ok(SearchableClients::Found(relations))
    }

    /// Returns the relations that the therapist's clients have agreed to, as the index lists them; `None` if a limit is
    /// exceeded.
    async fn listed(&self, limits: ListLimits, permit: AsTherapist) -> Result<Option<Vec<Relation>>> {
        let ListLimits { clients: max_clients, relations: max_relations } = limits;
        let (mut agreed, mut count, mut after) = (Vec::new(), 0, None::<Cursor>);
        loop {
            // One client too many decides.
            let query = self.store.of_therapist(permit).limit(max_clients.saturating_add(1));
            let rows = if let Some(after) = after { query.after(after) } else { query }.page().await?;
            count += rows.items.len();
            for item in rows.items {
                agreed.extend(Some(Relation::try_from(item)?).filter(|it| it.is_agreed(self.now())));
            }
            if agreed.len() > usize::from(max_clients) || count > usize::from(max_relations) {
                return Ok(None);
            }
            after = rows.next;
            if after.is_none() {
                return Ok(Some(agreed));
            }
        }
    }
}

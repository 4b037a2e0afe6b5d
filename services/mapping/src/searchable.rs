//! Use cases of a search: the clients among whose texts a therapist may search.
//!
//! They are those who have agreed to be related. Journal access is among that: a grant counts only while the two are
//! mapped.

use dynamo::Cursor;
use kernel::Result;

use crate::model::Relation;
use crate::ops::Ops;
use crate::policy::{Act, AsTherapist};

/// Wanted list of clients.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WantedClients {
    /// Maximum relations of the therapist, agreed or not.
    pub(crate) most: u16,
    /// True for states from the table, read consistently: the index lags, and may still list a relation that has ended.
    pub(crate) confirmed: bool,
}

/// Clients of a therapist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SearchableClients {
    /// The relations with them, in the order of the clients' ids.
    Found(Vec<Relation>),
    /// The therapist has more relations than wanted.
    TooMany,
}

impl Ops {
    /// Returns the relation with one client, read consistently, if the therapist may search among this client's texts.
    pub(crate) async fn searchable_client(&self, permit: Act) -> Result<Option<Relation>> {
        Ok(self.relation(permit).await?.filter(|it| it.is_agreed(self.now())))
    }

    /// Returns the relations with all clients among whose texts the therapist may search.
    ///
    /// The index finds them: a relation that has just begun may be missing.
    pub(crate) async fn searchable_clients(
        &self,
        permit: AsTherapist,
        wanted: WantedClients,
    ) -> Result<SearchableClients> {
        let WantedClients { most, confirmed } = wanted;
        let Some(mut relations) = self.related(permit, most).await? else {
            return Ok(SearchableClients::TooMany);
        };
        relations.retain(|it| it.is_agreed(self.now()));
        if confirmed {
            relations = self.still_agreed(permit, &relations).await?;
        }
        Ok(SearchableClients::Found(relations))
    }

    /// Returns all relations of the therapist as the index lists them; `None` for more than `most`.
    async fn related(&self, permit: AsTherapist, most: u16) -> Result<Option<Vec<Relation>>> {
        let (mut relations, mut after) = (Vec::new(), None::<Cursor>);
        loop {
            // One relation too many decides.
            let left = (usize::from(most) + 1).saturating_sub(relations.len());
            let query = self.store.of_therapist(permit).limit(u16::try_from(left).unwrap_or(u16::MAX));
            let rows = if let Some(after) = after { query.after(after) } else { query }.page().await?;
            after = rows.next.clone();
            for item in rows.items {
                relations.push(Relation::try_from(item)?);
            }
            if relations.len() > usize::from(most) {
                return Ok(None);
            }
            if after.is_none() {
                return Ok(Some(relations));
            }
        }
    }
}

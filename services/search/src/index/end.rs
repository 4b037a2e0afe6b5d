use std::collections::BTreeSet;

use dynamo::{Action, Key, Query, Sort, Transact};
use kernel::{Error, Result, UserId};

use crate::index::Index;
use crate::index::people::Listed;
use crate::index::scope::{FORWARD, Partition, Scope, ScopeId};
use crate::index::write::unexpected;

/// Items that one transaction deletes.
const PAGE: u16 = 100;

impl Index {
    /// Returns the scopes that a person reads, as far as they ever had a document.
    ///
    /// # Errors
    /// UNAVAILABLE or INTERNAL.
    pub async fn scopes_of(&self, person: UserId) -> Result<BTreeSet<ScopeId>> {
        let listed = self.people.scopes(&self.table, person).await?;
        Ok(listed.into_iter().map(|listed| listed.id).collect())
    }

    /// Lists a scope for the people who read it, as the first write of a document does, unless it is listed. Returns
    /// false, and writes nothing, if the owner's account has ended.
    ///
    /// # Errors
    /// UNAVAILABLE, ABORTED (`CONFLICT`) or INTERNAL.
    pub async fn list_scope(&self, scope: &Scope) -> Result<bool> {
        let Self { table, people, entropy, .. } = self;
        let listed = Listed { id: scope.id(), partition: scope.partition() };
        if people.is_noted(listed.partition) {
            return Ok(true);
        }
        let is_listed = people.is_listed(table, listed.id).await?
            || people.list_for(table, listed, listed.id.readers().collect(), &**entropy).await?;
        if is_listed {
            people.note(listed.partition);
        }
        Ok(is_listed)
    }

    /// Deletes every scope of a person's own, and keeps writers from beginning new documents in them. It needs no data
    /// key. Idempotent: a repetition resumes after an interruption.
    ///
    /// # Errors
    /// UNAVAILABLE, ABORTED (`CONFLICT`) or INTERNAL.
    pub async fn end(&self, person: UserId) -> Result<()> {
        let Self { table, people, .. } = self;
        people.mark_ended(table, person, &*self.clock).await?;
        for Listed { id, partition } in people.scopes(table, person).await? {
            let is_own = id.owner() == person;
            if is_own {
                self.delete_scope(partition).await?;
            }
            // The own entry goes last: until then a repetition finds the scope.
            for reader in id.readers().filter(|reader| is_own && *reader != person).chain([person]) {
                for key in people.places(reader, id) {
                    table.delete(&key).run().await.map(drop)?;
                }
            }
        }
        Ok(())
    }

    /// Deletes a scope: the forward items first, because every later write of a document needs its own.
    async fn delete_scope(&self, partition: Partition) -> Result<()> {
        let all = self.table.query(partition.to_string()).consistent().limit(PAGE);
        self.delete_all(partition, all.clone().sort(Sort::BeginsWith(FORWARD.to_owned()))).await?;
        self.delete_all(partition, all).await
    }

    /// Deletes the items of a query until it finds none: a write may have been under way.
    async fn delete_all(&self, partition: Partition, query: Query) -> Result<()> {
        let partition = partition.to_string();
        loop {
            let rows = query.clone().page().await?;
            if rows.items.is_empty() {
                return Ok(());
            }
            let delete = |item: &dynamo::Item| {
                let sort = item.text("sk").ok_or_else(|| Error::internal("an item of the index has no key"))?;
                Ok(self.table.delete(&Key::new(&*partition, sort)).into())
            };
            let deletions = rows.items.iter().map(delete).collect::<Result<Vec<Action>>>()?;
            if matches!(self.table.transact(deletions).await?, Transact::Failed(_)) {
                return Err(unexpected());
            }
        }
    }
}

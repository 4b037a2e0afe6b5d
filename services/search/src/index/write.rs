use std::collections::BTreeSet;
use std::time::Duration;

use dynamo::{Action, Condition, Item, Key, PutRequest, Read, Transact, Update, Verdict};
use kernel::{Error, Kind, Result};
use retry::Policy;

use crate::index::Index;
use crate::index::document::{Document, DocumentId};
use crate::index::forward::{ATTEMPT, Forward, Posting, Target};
use crate::index::scope::Scope;

/// Maximum postings that one transaction changes beside the forward item: it has 100 actions at most.
const MAX_CHANGES: usize = 99;

/// Maximum postings that a forward item names: an item has 400 KB at most, and a text twice as many terms as characters,
/// of which it has 10,000.
pub(super) const MAX_LISTED: usize = 22_000;

/// Maximum people for whom a write lists a scope.
const MAX_READERS: usize = 2;

/// Time for which the forward item of a removed document is kept.
const REMOVAL_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Outcome of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// The index has this version, and had another one before or none.
    Done,
    /// The index has this version or a newer one already, or a newer one is being written.
    Stale,
    /// The account of the scope's owner has ended, and nothing is written any more.
    Ended,
}

/// A version of a document, with its terms.
#[derive(Debug, Clone)]
pub struct DocumentVersion<T> {
    /// The document.
    pub document: Document,
    /// Its version.
    pub version: u64,
    /// Its terms, and no others.
    pub terms: T,
}

/// A write of one document.
struct Change<'a> {
    index: &'a Index,
    scope: &'a Scope,
    id: DocumentId,
    key: Key,
    target: Target,
    /// True if the index is believed what it says that it has.
    trusts: bool,
}

/// Result of one attempt.
enum Attempt {
    Over(Write),
    /// Another writer has replaced the forward item by this one.
    Overtaken(Option<Item>),
}

impl Index {
    /// Makes a version of a document found by these terms, and by no others. Idempotent; older versions change nothing.
    ///
    /// After a crash or an error, a repetition, or a write of a newer version, completes what was begun.
    ///
    /// # Errors
    /// UNAVAILABLE, also when others keep writing the same document; ABORTED (`CONFLICT`) or INTERNAL.
    pub async fn put<'a>(
        &self,
        scope: &Scope,
        document: Document,
        version: u64,
        terms: impl IntoIterator<Item = &'a str>,
    ) -> Result<Write> {
        let target = Target::new(scope, document, version, terms);
        self.write(scope, document.id(), target, true).await
    }

    /// Writes a version of a document as [`Index::put`] does, and also what the index says that it has of it already.
    ///
    /// # Errors
    /// As of [`Index::put`].
    pub async fn restore<'a>(
        &self,
        scope: &Scope,
        document: Document,
        version: u64,
        terms: impl IntoIterator<Item = &'a str>,
    ) -> Result<Write> {
        let target = Target::new(scope, document, version, terms);
        self.write(scope, document.id(), target, false).await
    }

    /// Writes each of these versions as [`Index::restore`] does, and new documents many in a transaction. No document may
    /// be there twice.
    ///
    /// # Errors
    /// As of [`Index::put`]. What was written before the error stays.
    pub async fn restore_all<T>(
        &self,
        scope: &Scope,
        versions: impl IntoIterator<Item = DocumentVersion<T>>,
    ) -> Result<()>
    where
        T: IntoIterator<Item: AsRef<str>>,
    {
        let checks = self.people.is_active(&self.table, scope.id().owner()).len();
        let most = (MAX_CHANGES + 1).saturating_sub(checks + MAX_READERS);
        let (mut group, mut room) = (Vec::new(), most);
        for DocumentVersion { document, version, terms } in versions {
            let target = Target::new(scope, document, version, terms);
            let items = 1 + target.tags.len();
            if items > room {
                self.restore_group(scope, std::mem::take(&mut group)).await?;
                room = most;
            }
            room = room.saturating_sub(items);
            group.push((document.id(), target));
        }
        self.restore_group(scope, group).await
    }

    /// Writes these documents in one transaction, or one by one if the index has one of them already.
    async fn restore_group(&self, scope: &Scope, targets: Vec<(DocumentId, Target)>) -> Result<()> {
        if targets.len() > 1 && self.begin_group(scope, &targets).await? {
            return Ok(());
        }
        for (id, target) in targets {
            self.write(scope, id, target, false).await.map(drop)?;
        }
        Ok(())
    }

    /// Writes documents that the index doesn't have. Returns whether they were written: all of them or none.
    async fn begin_group(&self, scope: &Scope, targets: &[(DocumentId, Target)]) -> Result<bool> {
        let mut actions = self.people.is_active(&self.table, scope.id().owner());
        actions.extend(self.people.list(&self.table, scope, &*self.entropy)?);
        for (id, target) in targets {
            let key = scope.forward(*id);
            let change = Change { index: self, scope, id: *id, key, target: target.clone(), trusts: false };
            actions.push(change.row(&change.settled(target))?.when(Condition::absent()).into());
            actions.extend(target.postings().into_iter().map(|posting| change.put(posting)));
        }
        match self.table.transact(actions).await {
            Ok(Transact::Done) => {
                self.people.note(scope.partition());
                Ok(true)
            }
            Ok(Transact::Failed(_)) => Ok(false),
            // Another transaction runs on the owner's marker.
            Err(error) if error.kind() == Kind::Aborted => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes a document found by nothing, unless the index has a newer version of it. Idempotent, like [`Index::put`].
    ///
    /// The removal of a version comes after the version itself, and for a day no write of it or of an older one makes
    /// the document found again.
    ///
    /// # Errors
    /// As of [`Index::put`].
    pub async fn remove(&self, scope: &Scope, id: DocumentId, version: u64) -> Result<Write> {
        let target = Target { version, is_removed: true, millisecond: 0, tags: BTreeSet::new() };
        self.write(scope, id, target, true).await
    }

    async fn write(&self, scope: &Scope, id: DocumentId, target: Target, trusts: bool) -> Result<Write> {
        let change = Change { index: self, scope, id, key: scope.forward(id), target, trusts };
        let read = || self.table.get_item(&change.key, Read::Consistent);
        let mut stored = read().await?;
        let mut attempts = Policy::OPTIMISTIC.start(&*self.entropy);
        while attempts.next().await {
            match change.attempt(stored).await {
                Ok(Attempt::Over(write)) => return Ok(write),
                Ok(Attempt::Overtaken(item)) => stored = item,
                // Another transaction runs on the same item, such as the owner's marker: it lasts for moments.
                Err(error) if error.kind() == Kind::Aborted => stored = read().await?,
                Err(error) => return Err(error),
            }
        }
        Err(Error::unavailable("others keep changing the forward item of a document"))
    }
}

impl Change<'_> {
    async fn attempt(&self, stored: Option<Item>) -> Result<Attempt> {
        let Self { index, scope, key, target, trusts, .. } = self;
        let open = |item| Forward::open(&index.table, scope, key, item);
        let old = stored.map(open).transpose()?;
        if let Some(old) = &old {
            let (has, wanted) = (old.target.rank(), target.rank());
            // The terms of a version change with the code that makes them: then a rebuild writes it again.
            if has > wanted || has == wanted && *trusts && old.is_settled && old.target == *target {
                return Ok(Attempt::Over(Write::Stale));
            }
        }
        let listed = old.as_ref().map_or(0, |old| old.possible().difference(&target.postings()).count());
        if listed + target.tags.len() > index.max_listed && listed > 0 && !target.tags.is_empty() {
            let emptied = Target { tags: BTreeSet::new(), ..target.clone() };
            self.replace(old, &emptied).await?;
            return Ok(Attempt::Overtaken(index.table.get_item(key, Read::Consistent).await?));
        }
        self.replace(old, target).await
    }

    /// Replaces what the index has of the document by a target.
    async fn replace(&self, old: Option<Forward>, target: &Target) -> Result<Attempt> {
        let Self { index, scope, id, trusts, .. } = self;
        let new = target.postings();
        let (possible, mut certain) = old.as_ref().map(|old| (old.possible(), old.certain())).unwrap_or_default();
        if !trusts {
            certain.clear();
        }
        let surplus: BTreeSet<_> = possible.difference(&new).copied().collect();
        let puts = new.difference(&certain).map(|posting| self.put(*posting));
        let deletions = surplus.iter().map(|posting| index.table.delete(&posting.key(scope, *id)).into());
        let mut changes = puts.chain(deletions).collect::<Vec<Action>>().into_iter();

        let settled = self.settled(target);
        let Some(old) = old else { return self.begin(settled, changes).await };
        let unchanged = Condition::eq(ATTEMPT, old.attempt);
        if changes.len() <= MAX_CHANGES {
            return self.commit(self.row(&settled)?.when(unchanged), changes).await;
        }
        let unsettled = Forward { is_settled: false, surplus, ..settled.clone() };
        let first = self.row(&unsettled)?.when(unchanged);
        let begun = index.table.transact(batch(first.into(), &mut changes)).await?;
        match overtaken(begun)? {
            Some(overtaken) => Ok(overtaken),
            None => self.go_on(&settled, changes).await,
        }
    }

    /// Returns the forward item of a new attempt, with nothing left to do.
    fn settled(&self, target: &Target) -> Forward {
        let attempt = u64::from_be_bytes(self.index.entropy.array());
        Forward { target: target.clone(), is_settled: true, surplus: BTreeSet::new(), attempt }
    }

    /// Writes a document that the index doesn't have: lists its scope, unless the owner's account has ended.
    async fn begin(&self, settled: Forward, mut changes: std::vec::IntoIter<Action>) -> Result<Attempt> {
        let Index { table, people, entropy, .. } = self.index;
        let mut others = people.is_active(table, self.scope.id().owner());
        let checks = others.len();
        others.extend(people.list(table, self.scope, &**entropy)?);
        let room = MAX_CHANGES.saturating_sub(others.len());
        let is_whole = changes.len() <= room;
        let first = self.row(&Forward { is_settled: is_whole, ..settled.clone() })?.when(Condition::absent());
        let actions = std::iter::once(first.into()).chain(others).chain(changes.by_ref().take(room));
        match table.transact(actions).await? {
            Transact::Done => people.note(self.scope.partition()),
            Transact::Failed(verdicts) if verdicts.iter().skip(1).take(checks).any(Verdict::is_condition_failed) => {
                return Ok(Attempt::Over(Write::Ended));
            }
            failed @ Transact::Failed(_) => return overtaken(failed)?.ok_or_else(unexpected),
        }
        if is_whole { Ok(Attempt::Over(Write::Done)) } else { self.go_on(&settled, changes).await }
    }

    /// Makes the changes that the first transaction had no room for. What the end of the account took away stays away.
    async fn go_on(&self, settled: &Forward, changes: std::vec::IntoIter<Action>) -> Result<Attempt> {
        let end = self.finish(settled, changes).await?;
        Ok(if matches!(end, Attempt::Overtaken(None)) { Attempt::Over(Write::Stale) } else { end })
    }

    async fn finish(&self, settled: &Forward, mut changes: std::vec::IntoIter<Action>) -> Result<Attempt> {
        let own = || Condition::eq(ATTEMPT, settled.attempt);
        while changes.len() > MAX_CHANGES {
            let check = self.index.table.check(&self.key, own());
            let done = self.index.table.transact(batch(check, &mut changes)).await?;
            if let Some(overtaken) = overtaken(done)? {
                return Ok(overtaken);
            }
        }
        self.commit(self.row(settled)?.when(own()), changes).await
    }

    /// Writes the settled forward item, with the last changes.
    async fn commit(&self, row: PutRequest, mut changes: std::vec::IntoIter<Action>) -> Result<Attempt> {
        if changes.len() == 0 {
            return Ok(match row.run().await? {
                Update::Done(_) => Attempt::Over(Write::Done),
                Update::ConditionFailed(item) => Attempt::Overtaken(item),
            });
        }
        let done = self.index.table.transact(batch(row.into(), &mut changes)).await?;
        Ok(overtaken(done)?.unwrap_or(Attempt::Over(Write::Done)))
    }

    fn row(&self, forward: &Forward) -> Result<PutRequest> {
        let Index { table, clock, entropy, .. } = self.index;
        let is_kept_for_a_while = forward.target.is_removed && forward.is_settled;
        let expires_at =
            is_kept_for_a_while.then(|| clock.now().as_second().saturating_add_unsigned(REMOVAL_KEPT.as_secs()));
        let row = forward.to_row(table, self.scope, &self.key, expires_at, &**entropy)?;
        Ok(table.put(&self.key, &row))
    }

    fn put(&self, posting: Posting) -> Action {
        #[derive(serde::Serialize)]
        struct NoAttributes {}
        self.index.table.put(&posting.key(self.scope, self.id), &NoAttributes {}).into()
    }
}

/// Returns the actions of one transaction: that on the forward item, and as many changes as there is room for.
fn batch(forward: Action, changes: &mut std::vec::IntoIter<Action>) -> Vec<Action> {
    std::iter::once(forward).chain(changes.take(MAX_CHANGES)).collect()
}

/// Returns the attempt's end if the condition on the forward item, which is the first action's, does not hold.
fn overtaken(outcome: Transact) -> Result<Option<Attempt>> {
    let Transact::Failed(verdicts) = outcome else { return Ok(None) };
    match verdicts.into_iter().next() {
        Some(Verdict::ConditionFailed(item)) => Ok(Some(Attempt::Overtaken(item))),
        Some(Verdict::Fine) | None => Err(unexpected()),
    }
}

pub(super) fn unexpected() -> Error {
    Error::internal("DynamoDB reports a condition where there is none")
}

//! Keeps the index up with the texts: an event names a text that has changed, and its owner says what it is now.
//!
//! So late, repeated and reordered events end in the same: the index takes the newest version.

use std::sync::{Arc, LazyLock};

use chassis::Context;
use dynamo::seal::SealingKey;
use kernel::{Clock, Result, SessionId, Timestamp, UserId};
use keyring::Keyring;
use opentelemetry::global;
use opentelemetry::metrics::Histogram;

use crate::index::{Document, DocumentId, Index, Scope, ScopeId};
use crate::model::{EntryName, EntryText, Notes};
use crate::owners::Owners;
use crate::text::terms;

/// Version of the first write of a text: no other scope has an older one.
const FIRST: u64 = 1;
/// Version after all others: ids of removed texts never come back.
pub(crate) const LAST: u64 = u64::MAX;

/// Seconds, from a change that is found at once to one that waits for an outage.
const LAG_BOUNDARIES: [f64; 12] = [0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0, 3600.0];

static LAG: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    global::meter("search")
        .f64_histogram("search.index.lag")
        .with_unit("s")
        .with_description("Time from the change of a text until the index has it.")
        .with_boundaries(LAG_BOUNDARIES.to_vec())
        .build()
});

/// Writes texts into the index.
#[derive(Debug, Clone)]
pub(crate) struct Indexer {
    pub(crate) index: Index,
}

/// The use case of events, with its dependencies.
#[derive(Clone)]
pub(crate) struct Feed {
    pub(crate) indexer: Indexer,
    pub(crate) owners: Owners,
    pub(crate) keyring: Keyring,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Indexer {
    /// Makes an entry found as it is now.
    pub(crate) async fn put_entry(&self, key: &SealingKey, entry: &EntryText) -> Result<()> {
        let EntryText { name, version, is_private, text } = entry;
        let (shared, private) = (ScopeId::SharedJournal(name.client), ScopeId::PrivateJournal(name.client));
        let other = if *is_private { shared } else { private };
        self.remove(other, key, name.document().id(), *version).await?;
        self.put(entry.scope(), key, name.document(), *version, text).await
    }

    /// Makes an entry that was removed found no more.
    pub(crate) async fn remove_entry(&self, key: &SealingKey, name: EntryName) -> Result<()> {
        let id = name.document().id();
        self.remove(ScopeId::SharedJournal(name.client), key, id, LAST).await?;
        self.remove(ScopeId::PrivateJournal(name.client), key, id, LAST).await
    }

    /// Makes the notes of a session found in this scope, if any belong in it now.
    pub(crate) async fn put_notes(&self, scope: ScopeId, key: &SealingKey, notes: &Notes) -> Result<()> {
        match notes.text_of(scope) {
            Some(text) => self.put(scope, key, notes.document(), notes.version, text).await,
            None => self.remove(scope, key, notes.document().id(), notes.version).await,
        }
    }

    /// Makes the notes of a session that was deleted found no more in a scope.
    pub(crate) async fn remove_notes(&self, scope: ScopeId, key: &SealingKey, session: SessionId) -> Result<()> {
        self.remove(scope, key, *session.as_bytes(), LAST).await
    }

    async fn put(&self, id: ScopeId, key: &SealingKey, document: Document, version: u64, text: &str) -> Result<()> {
        let (scope, terms) = (Scope::new(id, key)?, terms(text));
        self.index.put(&scope, document, version, terms.iter().map(|term| term.as_str())).await.map(drop)
    }

    async fn remove(&self, id: ScopeId, key: &SealingKey, document: DocumentId, version: u64) -> Result<()> {
        if version == FIRST {
            return Ok(());
        }
        self.index.remove(&Scope::new(id, key)?, document, version).await.map(drop)
    }
}

impl Feed {
    /// Takes the change of an entry.
    pub(crate) async fn entry_changed(&self, context: &Context, name: EntryName) -> Result<()> {
        // Without a key the account has ended, and the index with it.
        let Some(key) = self.keyring.key(context, name.client.into()).await? else { return Ok(()) };
        match self.owners.entry(context, name).await? {
            Some(entry) => self.indexer.put_entry(&key, &entry).await,
            None => self.indexer.remove_entry(&key, name).await,
        }
    }

    /// Takes the change of notes that are sealed under the key of the scopes' owner.
    pub(crate) async fn notes_changed(&self, context: &Context, session: SessionId, scopes: &[ScopeId]) -> Result<()> {
        let Some(owner) = scopes.first().map(|scope| scope.owner()) else { return Ok(()) };
        let Some(key) = self.keyring.key(context, owner).await? else { return Ok(()) };
        let notes = self.owners.notes(context, session).await?;
        for scope in scopes {
            match &notes {
                Some(notes) => self.indexer.put_notes(*scope, &key, notes).await?,
                None => self.indexer.remove_notes(*scope, &key, session).await?,
            }
        }
        Ok(())
    }

    /// Takes the end of an account.
    pub(crate) async fn account_ended(&self, person: UserId) -> Result<()> {
        self.keyring.forget(person);
        self.indexer.index.end(person).await
    }

    /// Records the time that the index lagged behind a change of this time.
    pub(crate) fn record_lag(&self, changed: Timestamp) {
        let lag = self.clock.now().duration_since(changed).as_secs_f64();
        LAG.record(lag.max(0.0), &[]);
    }
}

//! Compares and restores the index, for operators.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use chassis::Platform;
use dynamo::seal::SealingKey;
use dynamo::secret::Secrets;
use kernel::{Result, UserId};
use proto::journals::v1::EntryText;

use crate::index::{Document, DocumentId, DocumentVersion, Index, SEARCH_INDEX, Scope, ScopeId, Surveyed, Write};
use crate::indexer::LAST;
use crate::owners;
use crate::text::{Term, terms};

/// A text as its owner has it, with its place in the index.
#[derive(Clone)]
pub struct OwnedText {
    /// The scope that it belongs in.
    pub scope: ScopeId,
    /// The document.
    pub document: Document,
    /// Its version.
    pub version: u64,
    /// The text.
    pub text: String,
}

/// A difference between the index and the owner of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// The index doesn't have the text.
    Missing,
    /// The index has another version of it, with other words or another time.
    OtherVersion,
    /// The index has other words of this version: a version of the software made them that splits or stems otherwise.
    OtherWords,
    /// The index has not all of its words, or more, or can't tell which.
    Incomplete,
    /// The index has a text that its owner doesn't have.
    LeftOver,
}

/// All that the index has of the texts that are sealed under one person's key.
#[derive(Debug, Clone)]
pub struct Survey(BTreeMap<ScopeId, Surveyed>);

/// The index, for operators.
#[derive(Debug, Clone)]
pub struct Maintenance(Index);

impl Maintenance {
    /// Opens the index.
    ///
    /// # Errors
    /// INTERNAL when keys can't be derived from the secrets.
    pub fn new(dynamodb: &dynamo::Client, secrets: &Secrets, platform: &Platform) -> Result<Self> {
        let (clock, entropy) = (Arc::clone(&platform.clock), Arc::clone(&platform.entropy));
        Index::new(dynamodb.table(&SEARCH_INDEX), secrets, clock, entropy).map(Self)
    }

    /// Reads all that the index has under a person's key.
    ///
    /// # Errors
    /// UNAVAILABLE or INTERNAL.
    pub async fn survey(&self, person: UserId, key: &SealingKey) -> Result<Survey> {
        let mut scopes = BTreeMap::new();
        for id in self.0.scopes_of(person).await?.into_iter().filter(|id| id.owner() == person) {
            scopes.insert(id, self.0.survey(&Scope::new(id, key)?).await?);
        }
        Ok(Survey(scopes))
    }

    /// Lists a person's scopes under the current secret that are listed under older ones alone.
    ///
    /// # Errors
    /// UNAVAILABLE, ABORTED (`CONFLICT`) or INTERNAL.
    pub async fn relist(&self, person: UserId) -> Result<()> {
        self.0.relist(person).await
    }

    /// Discards the texts of a survey that can't be written any more because the index doesn't know what it has of them.
    ///
    /// # Errors
    /// UNAVAILABLE or INTERNAL.
    pub async fn discard_broken(&self, key: &SealingKey, survey: &Survey) -> Result<()> {
        for (id, Surveyed { documents: _, broken }) in &survey.0 {
            self.0.discard(&Scope::new(*id, key)?, broken).await?;
        }
        Ok(())
    }

    /// Makes the index have a text as its owner has it, whatever it says that it has. Returns false, and writes nothing,
    /// if the account has ended.
    ///
    /// # Errors
    /// UNAVAILABLE, ABORTED (`CONFLICT`) or INTERNAL.
    pub async fn restore(&self, key: &SealingKey, text: &OwnedText) -> Result<bool> {
        let OwnedText { scope, document, version, text } = text;
        let (scope, terms) = (Scope::new(*scope, key)?, terms(text));
        if !self.0.list_scope(&scope).await? {
            return Ok(false);
        }
        let write = self.0.restore(&scope, *document, *version, terms.iter().map(Term::as_str)).await?;
        Ok(write != Write::Ended)
    }

    /// Makes the index have these texts as [`restore`](Self::restore) does each of them, and new texts many in a
    /// transaction: for imports. No text may be there twice. Writes nothing if the account has ended.
    ///
    /// # Errors
    /// UNAVAILABLE, ABORTED (`CONFLICT`) or INTERNAL. What was written before the error stays.
    pub async fn restore_all(&self, key: &SealingKey, texts: &[OwnedText]) -> Result<()> {
        let scopes: BTreeSet<_> = texts.iter().map(|text| text.scope).collect();
        for id in scopes {
            let scope = Scope::new(id, key)?;
            if !self.0.list_scope(&scope).await? {
                return Ok(());
            }
            let version = |text: &OwnedText| {
                let OwnedText { scope: _, document, version, text } = text;
                DocumentVersion { document: *document, version: *version, terms: terms(text) }
            };
            self.0.restore_all(&scope, texts.iter().filter(|text| text.scope == id).map(version)).await?;
        }
        Ok(())
    }

    /// Makes the index have nothing of a text in a scope in which its owner doesn't have it. The version is that of the
    /// owner; `None` if the owner doesn't have the text at all.
    ///
    /// # Errors
    /// UNAVAILABLE, ABORTED (`CONFLICT`) or INTERNAL.
    pub async fn remove(&self, key: &SealingKey, scope: ScopeId, id: DocumentId, version: Option<u64>) -> Result<()> {
        self.0.remove(&Scope::new(scope, key)?, id, version.unwrap_or(LAST)).await.map(drop)
    }
}

impl OwnedText {
    /// Returns the text of an entry, as journals gives it.
    ///
    /// # Errors
    /// INTERNAL when its ids are invalid.
    pub fn of_entry(text: EntryText) -> Result<Self> {
        let entry = owners::entry(text)?;
        let scope = entry.scope();
        Ok(Self { scope, document: entry.name.document(), version: entry.version, text: entry.text })
    }
}

impl Survey {
    /// Compares a text with the index; `None` if they agree.
    ///
    /// # Errors
    /// INTERNAL when the cryptographic library fails.
    pub fn compare(&self, key: &SealingKey, text: &OwnedText) -> Result<Option<Difference>> {
        let OwnedText { scope, document, version, text } = text;
        let Some(Surveyed { documents, broken }) = self.0.get(scope) else {
            return Ok(Some(Difference::Missing));
        };
        if broken.contains(&document.id()) {
            return Ok(Some(Difference::Incomplete));
        }
        let Some(indexed) = documents.get(&document.id()) else {
            return Ok(Some(Difference::Missing));
        };
        let terms = terms(text);
        Ok(if indexed.has(&Scope::new(*scope, key)?, *document, terms.iter().map(Term::as_str)) {
            // Another version alone is no difference: a session has a new one also after a change of none of its texts.
            (!indexed.is_whole).then_some(Difference::Incomplete)
        } else if indexed.version == *version {
            Some(Difference::OtherWords)
        } else {
            Some(Difference::OtherVersion)
        })
    }

    /// Returns the texts of the index that are none of these.
    pub fn left_over(&self, owned: &BTreeSet<(ScopeId, DocumentId)>) -> Vec<(ScopeId, DocumentId)> {
        let all = self
            .0
            .iter()
            .flat_map(|(scope, Surveyed { documents, broken })| documents.keys().chain(broken).map(|id| (*scope, *id)));
        all.filter(|document| !owned.contains(document)).collect()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "is not in the index",
            Self::OtherVersion => "is in the index with the words of another version",
            Self::OtherWords => "is in the index with other words",
            Self::Incomplete => "is not completely in the index",
            Self::LeftOver => "is left over in the index",
        })
    }
}

/// Hides the text, which a person wrote.
impl fmt::Debug for OwnedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedText")
            .field("scope", &self.scope)
            .field("document", &self.document)
            .finish_non_exhaustive()
    }
}

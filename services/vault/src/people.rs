//! Lists the people who have a data key, for operators.

use std::collections::VecDeque;

use chassis::Platform;
use dynamo::Cursor;
use dynamo::seal::SealingKey;
use dynamo::secret::Secrets;
use kernel::{BoxError, Error, UserId};

use crate::model::KekId;
use crate::open;
use crate::ops::Vault;
use crate::store::Stored;

/// Maximum people of a page.
const PAGE_SIZE: u16 = 100;

/// The people who have a data key, and their keys. The index that lists them lags behind the table, by milliseconds as
/// a rule.
pub struct People {
    vault: Vault,
    /// Key-encryption keys whose people are not all listed.
    keks: VecDeque<KekId>,
    after: Option<Cursor>,
}

impl People {
    /// Opens the vault over its table.
    ///
    /// # Errors
    /// If the table can't be read, or data keys in it are wrapped by a key-encryption key that is not given.
    pub async fn open(
        dynamodb: &dynamo::Client,
        key_encryption_keys: &Secrets,
        platform: &Platform,
    ) -> Result<Self, BoxError> {
        let vault = open(dynamodb, key_encryption_keys, platform).await?;
        let keks = vault.store.keks().await?.into();
        Ok(Self { vault, keks, after: None })
    }

    /// Returns the next people, by one Query; `None` after the last. A page may be empty and not be the last.
    ///
    /// # Errors
    /// UNAVAILABLE or INTERNAL.
    pub async fn next_page(&mut self) -> Result<Option<Vec<UserId>>, Error> {
        let Some(kek) = self.keks.front() else { return Ok(None) };
        let page = self.vault.store.wrapped_by(kek, PAGE_SIZE, self.after.take()).await?;
        self.after = page.next;
        if self.after.is_none() {
            self.keks.pop_front();
        }
        Ok(Some(page.persons))
    }

    /// Returns a person's key; `None` if there was never one or it was destroyed.
    ///
    /// # Errors
    /// UNAVAILABLE or INTERNAL.
    pub async fn key(&self, person: UserId) -> Result<Option<SealingKey>, Error> {
        match self.vault.store.read(person).await? {
            Some(Stored::Key(wrapped)) => {
                let key = self.vault.keys.unwrap(&wrapped, person).await?;
                let bytes = key.as_bytes().try_into().map_err(Error::internal)?;
                SealingKey::new(bytes).map(Some)
            }
            Some(Stored::Destroyed) | None => Ok(None),
        }
    }
}

impl std::fmt::Debug for People {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("People")
    }
}

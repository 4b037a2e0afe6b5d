//! Imports entries straight into the tables: sealed as the journals service seals them, and indexed as search does.

use std::ops::Range;
use std::path::Path;

use ::search::{Maintenance, OwnedText};
use chassis::Platform;
use dynamo::seal::SealingKey;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use journals::JournalImport;
use kernel::UserId;
use proto::journals::v1::JournalEntry;

use crate::Result;
use crate::account::Account;
use crate::process::Mesh;

/// Word of few entries.
pub(super) const RARE: &str = "owl";
/// Word of all entries.
pub(super) const COMMON: &str = "sea";
/// Words of nearly all entries.
pub(super) const BOTH_COMMON: [&str; 2] = ["fog", COMMON];
const EMOTION: &str = "sad";

/// Timestamp of the first entry of each journal. Entries are a minute apart.
const FIRST: i64 = 1_700_000_000;
/// Entries of one chunk.
const CHUNK: u32 = 500;
/// Chunks that are imported at a time.
const CHUNKS: usize = 4;

/// Entries to be added to a journal.
pub(super) struct Filling {
    person: UserId,
    pub(super) entries: u32,
    /// Number of those with the rare word.
    rare: u32,
}

/// The tables of a mesh, with the secrets of its data directory.
pub(super) struct Import {
    people: vault::People,
    journals: JournalImport,
    index: Maintenance,
}

impl Filling {
    pub(super) fn new(client: &Account, entries: u32, rare: u32) -> Result<Self> {
        Ok(Self { person: client.id.parse()?, entries, rare })
    }

    /// Returns an entry of three words.
    fn entry(&self, number: u32) -> JournalEntry {
        let is_rare = number.is_multiple_of(self.entries / self.rare);
        let [other, common] = if is_rare { [RARE, COMMON] } else { BOTH_COMMON };
        let mut entry = JournalEntry {
            emotion: Some(EMOTION.to_owned()),
            intensity: Some(3),
            note: Some(format!("{common} {other}")),
            ..JournalEntry::default()
        };
        entry.timestamp.get_or_insert_default().seconds = FIRST + i64::from(number) * 60;
        entry
    }
}

impl Import {
    pub(super) async fn open(mesh: &Mesh, data: &Path) -> Result<Self> {
        let platform = Platform::system();
        let dynamodb = dynamo::Config {
            endpoint: Some(mesh.dynamodb.clone()),
            access_key: (&*mesh.access_key).into(),
            ..dynamo::Config::default()
        };
        let dynamodb = dynamodb.connect(platform.entropy.clone()).await;
        let secrets = |name: &str| bootstrap::read_secrets(&data.join(name));
        Ok(Self {
            people: vault::People::open(&dynamodb, &secrets("key-encryption-keys")?, &platform).await?,
            journals: JournalImport::new(&dynamodb, &platform),
            index: Maintenance::new(&dynamodb, &secrets("secrets")?, &platform)?,
        })
    }

    /// Adds the entries of each journal.
    pub(super) async fn fill(&self, fillings: &[Filling]) -> Result<()> {
        let mut chunks = Vec::new();
        for filling in fillings {
            let key = self.people.key(filling.person).await?.ok_or("the client has a data key")?;
            let firsts = (0..filling.entries).step_by(CHUNK as usize);
            let last = |first: u32| first.saturating_add(CHUNK).min(filling.entries);
            chunks.extend(firsts.map(|first| (filling, key.clone(), first..last(first))));
        }
        let add = |(filling, key, numbers)| self.add(filling, key, numbers);
        stream::iter(chunks).map(add).buffer_unordered(CHUNKS).try_collect().await
    }

    async fn add(&self, filling: &Filling, key: SealingKey, numbers: Range<u32>) -> Result<()> {
        let entries = numbers.map(|number| filling.entry(number)).collect();
        let texts = self.journals.add(filling.person.into(), &key, entries).await?;
        let texts = texts.into_iter().map(OwnedText::of_entry).collect::<kernel::Result<Vec<_>>>()?;
        Ok(self.index.restore_all(&key, &texts).await?)
    }
}

//! Stores the table Audit: its keys, its items and the conditions of their writes.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `CLIENT#<id>` | `RECORD#<access id>` | one access, with its place in the chain once it is linked |
//! | `CLIENT#<id>` | `HEAD` | the end of the client's chain, signed |
//!
//! The index `unlinked` holds the unlinked records, in four partitions by client; the index `chains` holds the head and
//! the first record of each chain, so that a chain without its head is still found.

mod row;

use dynamo::{
    Condition, Cursor, IndexDef, Item, Key, KeyDef, Projection, Put, Query, Read as Fresh, Sort, Table, TableDef,
    Transact, Update, Verdict,
};
use kernel::{ClientId, Error, Kind, Result};

use crate::model::{AccessId, Facts, Head, Link, Personal};
use crate::policy::{AllChains, Append, Read};

use row::HeadRow;
pub(crate) use row::{Place, Record, Row, Waiting};

/// The table of accesses.
pub static AUDIT: TableDef = TableDef { name: "Audit", key: KeyDef::PK_SK, indexes: &[UNLINKED, CHAINS], ttl: None };

/// The unlinked records, oldest first, with the attributes that a link is computed from.
const UNLINKED: IndexDef = IndexDef {
    name: "unlinked",
    key: KeyDef { partition: MARK, sort: Some("sk") },
    projection: Projection::Include(&[
        "time",
        "action",
        "entry_count",
        "client_digest",
        "therapist_digest",
        "entry_digest",
        "grant_digest",
        SEQ,
    ]),
};

/// The first record and the head of each chain. Moving a head doesn't change the index.
const CHAINS: IndexDef = IndexDef {
    name: "chains",
    key: KeyDef { partition: CHAIN, sort: Some("pk") },
    projection: Projection::Include(&[KEY_ID]),
};

const MARK: &str = "unlinked";
const CHAIN: &str = "chain";
const SEQ: &str = "seq";
const PREVIOUS: &str = "previous";
const DIGEST: &str = "digest";
const KEY_ID: &str = "key_id";

const RECORD: &str = "RECORD#";
const CLIENT: &str = "CLIENT#";
const HEAD: &str = "HEAD";
/// The partition of [`CHAINS`].
const CHAINED: &str = "CHAINS";

/// Number of partitions of [`UNLINKED`].
const SHARDS: u8 = 4;

/// Maximum number of records linked by one transaction: DynamoDB takes 100 actions, and one is the head's.
pub(crate) const LINKED_AT_ONCE: usize = 99;

/// The handle of the table.
#[derive(Debug, Clone)]
pub(crate) struct Store(Table);

/// A record to add.
pub(crate) struct NewRecord {
    pub(crate) permit: Append,
    pub(crate) facts: Facts,
    pub(crate) personal: Personal,
}

/// The outcome of an extension of a chain.
pub(crate) enum Extended {
    Done,
    /// Another linker extended the chain.
    Conflict,
    /// These records are already linked, or gone.
    Stale(Vec<AccessId>),
}

fn partition(client: ClientId) -> String {
    format!("{CLIENT}{client}")
}

pub(crate) fn record_key(client: ClientId, id: AccessId) -> Key {
    Key::new(partition(client), format!("{RECORD}{id}"))
}

pub(crate) fn head_key(client: ClientId) -> Key {
    Key::new(partition(client), HEAD)
}

/// Returns the cursor of a record in the log of its client.
pub(crate) fn cursor(client: ClientId, id: AccessId) -> Cursor {
    let KeyDef { partition: pk, sort: sk } = AUDIT.key;
    Cursor::new([(pk.to_owned(), partition(client)), (sk.unwrap_or_default().to_owned(), format!("{RECORD}{id}"))])
}

fn shard(client: ClientId) -> String {
    let last = client.as_bytes().last().copied().unwrap_or_default();
    (last % SHARDS).to_string()
}

/// Returns the client of an item's partition.
pub(crate) fn client_of(item: &Item) -> Result<ClientId> {
    let client = item.text("pk").and_then(|pk| pk.strip_prefix(CLIENT)).and_then(|id| id.parse().ok());
    client.ok_or_else(|| Error::internal("an item of the access log is in no client's partition"))
}

/// Returns the id of the key that signed a head; `None` for an item that isn't a head.
pub(crate) fn signed_by(item: &Item) -> Option<&str> {
    item.text(KEY_ID)
}

/// Returns the id of a record from its key.
pub(crate) fn id_of(item: &Item) -> Result<AccessId> {
    let id = item.text("sk").and_then(|sk| sk.strip_prefix(RECORD)).and_then(AccessId::parse);
    id.ok_or_else(|| Error::internal("a record of the access log has no id"))
}

impl NewRecord {
    fn into_row(self) -> (Key, Row) {
        let Self { permit, facts, personal } = self;
        let client = permit.client();
        (record_key(client, facts.id), Row::new(&facts, personal, shard(client)))
    }
}

impl Store {
    pub(crate) const fn new(table: Table) -> Self {
        Self(table)
    }

    /// Adds an unlinked record by one uncontended write.
    pub(crate) async fn append(&self, record: NewRecord) -> Result<()> {
        let (key, row) = record.into_row();
        match self.0.put_new(&key, &row).await? {
            Put::Done => Ok(()),
            Put::Exists(_) => Err(same_id()),
        }
    }

    /// Adds up to a hundred unlinked records by one uncontended transaction: all or none. A batch of writes has no
    /// conditions, and could replace a record.
    pub(crate) async fn append_all(&self, mut records: Vec<NewRecord>) -> Result<()> {
        if records.len() < 2 {
            // A single write costs half of a transaction.
            return match records.pop() {
                Some(record) => self.append(record).await,
                None => Ok(()),
            };
        }
        let puts = records.into_iter().map(|record| {
            let (key, row) = record.into_row();
            self.0.put(&key, &row).when(Condition::absent()).into()
        });
        match self.0.transact(puts).await? {
            Transact::Done => Ok(()),
            Transact::Failed(_) => Err(same_id()),
        }
    }

    /// Returns the Query of a client's log, newest first.
    pub(crate) fn log(&self, permit: Read) -> Query {
        self.records_of(permit.client()).descending()
    }

    /// Returns the Query of a client's records, oldest first.
    pub(crate) fn records(&self, _permit: AllChains, client: ClientId) -> Query {
        self.records_of(client)
    }

    fn records_of(&self, client: ClientId) -> Query {
        self.0.query(partition(client)).sort(Sort::BeginsWith(RECORD.to_owned())).consistent()
    }

    /// Returns the Queries that together read every unlinked record.
    pub(crate) fn waiting(&self, _permit: AllChains) -> impl Iterator<Item = Query> {
        (0..SHARDS).map(|shard| self.0.query_index(&UNLINKED, shard.to_string()))
    }

    /// Returns the Query of all chains: each head and each first record, those of one client adjacent.
    pub(crate) fn chains(&self, _permit: AllChains) -> Query {
        self.0.query_index(&CHAINS, CHAINED)
    }

    /// Reads the head of a client's chain; the inner result is an error if the item is no valid head.
    pub(crate) async fn head(&self, _permit: AllChains, client: ClientId) -> Result<Option<Result<Head>>> {
        let item = self.0.get_item(&head_key(client), Fresh::Consistent).await?;
        Ok(item.map(|item| item.parse::<HeadRow>().and_then(HeadRow::into_head)))
    }

    /// Moves the head of a client's chain and links the records before it in one transaction, if the head is unchanged
    /// and each record is still unlinked.
    pub(crate) async fn extend(
        &self,
        _permit: AllChains,
        client: ClientId,
        old: Option<&Head>,
        new: Head,
        links: &[(AccessId, Link)],
    ) -> Result<Extended> {
        let unmoved = old.map_or_else(Condition::absent, same);
        let head = self.0.put(&head_key(client), &HeadRow::new(new)).when(unmoved).into();
        let links_of = links.iter().map(|(id, link)| {
            let Link { seq, previous, digest } = *link;
            let update = self.0.update(&record_key(client, *id)).set(SEQ, seq).set(PREVIOUS, previous);
            let update = update.set(DIGEST, digest).remove(MARK);
            let update = if seq == 1 { update.set(CHAIN, CHAINED) } else { update };
            update.when(Condition::has(MARK).and(Condition::lacks(SEQ))).into()
        });
        let outcome = match self.0.transact(std::iter::once(head).chain(links_of)).await {
            Err(error) if error.kind() == Kind::Aborted => return Ok(Extended::Conflict),
            outcome => outcome?,
        };
        let Transact::Failed(verdicts) = outcome else { return Ok(Extended::Done) };
        let mut verdicts = verdicts.into_iter();
        if verdicts.next().is_some_and(|verdict| verdict.is_condition_failed()) {
            return Ok(Extended::Conflict);
        }
        let stale = links.iter().zip(verdicts).filter(|(_, verdict)| Verdict::is_condition_failed(verdict));
        let stale: Vec<_> = stale.map(|((id, _), _)| *id).collect();
        if stale.is_empty() {
            return Err(Error::internal("a transaction failed without a reason"));
        }
        Ok(Extended::Stale(stale))
    }

    /// Replaces a head by its renewed signature, if it is unchanged. Returns whether it was.
    pub(crate) async fn renew(&self, _permit: AllChains, client: ClientId, old: &Head, new: Head) -> Result<bool> {
        let put = self.0.put(&head_key(client), &HeadRow::new(new)).when(same(old));
        Ok(matches!(put.run().await?, Update::Done(_)))
    }
}

fn same_id() -> Error {
    Error::internal("two accesses were given one id")
}

fn same(head: &Head) -> Condition {
    Condition::eq(SEQ, head.seq).and(Condition::eq(DIGEST, head.digest))
}

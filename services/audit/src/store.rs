//! The table Audit: its keys, its items and the conditions under which they change.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `CLIENT#<id>` | `RECORD#<access id>` | one access; once it is linked, with its place in the chain |
//! | `CLIENT#<id>` | `HEAD` | the end of the client's chain, signed |
//!
//! The index `unlinked` holds the records that are not linked yet, in four partitions by client; the index `chains` holds
//! the head and the first record of each chain, so that a chain whose head is gone is still found.

mod row;

use dynamo::{
    Condition, Cursor, IndexDef, Item, Key, KeyDef, Projection, Put, Query, Read as Fresh, Sort, Table, TableDef,
    Transact, Update, Verdict,
};
use kernel::{ClientId, Error, Kind, Result};

use crate::model::{AccessId, Facts, Head, Link, Personal};
use crate::policy::{Append, Read};

use row::HeadRow;
pub(crate) use row::{Place, Record, Row, Waiting};

/// The table of accesses.
pub static AUDIT: TableDef = TableDef { name: "Audit", key: KeyDef::PK_SK, indexes: &[UNLINKED, CHAINS], ttl: None };

/// The records that are not linked, oldest first: with what a link is made of.
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

/// Where each chain begins and ends. A head that moves changes nothing in it.
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

/// How many partitions [`UNLINKED`] has.
const SHARDS: u8 = 4;

/// How many records one transaction links: DynamoDB takes 100 actions, and one is the head's.
pub(crate) const LINKED_AT_ONCE: usize = 99;

/// The handle of the table.
#[derive(Debug, Clone)]
pub(crate) struct Store(Table);

/// What became of an extension of a chain.
pub(crate) enum Extended {
    Done,
    /// Somebody else extended it.
    Conflict,
    /// These records are linked already, or gone.
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

/// The place of a record in the log of its client.
pub(crate) fn cursor(client: ClientId, id: AccessId) -> Cursor {
    let KeyDef { partition: pk, sort: sk } = AUDIT.key;
    Cursor::new([(pk.to_owned(), partition(client)), (sk.unwrap_or_default().to_owned(), format!("{RECORD}{id}"))])
}

fn shard(client: ClientId) -> String {
    let last = client.as_bytes().last().copied().unwrap_or_default();
    (last % SHARDS).to_string()
}

/// The client in whose partition an item is.
pub(crate) fn client_of(item: &Item) -> Result<ClientId> {
    let client = item.text("pk").and_then(|pk| pk.strip_prefix(CLIENT)).and_then(|id| id.parse().ok());
    client.ok_or_else(|| Error::internal("an item of the access log is in no client's partition"))
}

/// The key that signed a head; nothing for what is no head.
pub(crate) fn signed_by(item: &Item) -> Option<&str> {
    item.text(KEY_ID)
}

/// The id of a record, by its key.
pub(crate) fn id_of(item: &Item) -> Result<AccessId> {
    let id = item.text("sk").and_then(|sk| sk.strip_prefix(RECORD)).and_then(AccessId::parse);
    id.ok_or_else(|| Error::internal("a record of the access log has no id"))
}

impl Store {
    pub(crate) const fn new(table: Table) -> Self {
        Self(table)
    }

    /// Adds a record that waits to be linked: one write, which nothing else contends for.
    pub(crate) async fn append(&self, permit: Append, facts: &Facts, personal: Personal) -> Result<()> {
        let client = permit.client();
        let row = Row::new(facts, personal, shard(client));
        match self.0.put_new(&record_key(client, facts.id), &row).await? {
            Put::Done => Ok(()),
            Put::Exists(_) => Err(Error::internal("two accesses were given one id")),
        }
    }

    /// The Query that reads a client's log, newest first.
    pub(crate) fn log(&self, permit: Read) -> Query {
        self.records(permit.client()).descending()
    }

    /// The records of a client, oldest first.
    pub(crate) fn records(&self, client: ClientId) -> Query {
        self.0.query(partition(client)).sort(Sort::BeginsWith(RECORD.to_owned())).consistent()
    }

    /// The Queries that together find every record that waits to be linked.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = Query> {
        (0..SHARDS).map(|shard| self.0.query_index(&UNLINKED, shard.to_string()))
    }

    /// The Query that finds every chain: each head and each first record, those of one client beside each other.
    pub(crate) fn chains(&self) -> Query {
        self.0.query_index(&CHAINS, CHAINED)
    }

    /// The head of a client's chain as it is stored: an error if it has another shape than a head.
    pub(crate) async fn head(&self, client: ClientId) -> Result<Option<Result<Head>>> {
        let item = self.0.get_item(&head_key(client), Fresh::Consistent).await?;
        Ok(item.map(|item| item.parse::<HeadRow>().and_then(HeadRow::into_head)))
    }

    /// Moves the head of a client's chain and links the records before it, all at once: if the head is still the old one
    /// and each record still waits.
    pub(crate) async fn extend(
        &self,
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
        if verdicts.next().is_some_and(|verdict| verdict.is_unmet()) {
            return Ok(Extended::Conflict);
        }
        let stale = links.iter().zip(verdicts).filter(|(_, verdict)| Verdict::is_unmet(verdict));
        let stale: Vec<_> = stale.map(|((id, _), _)| *id).collect();
        if stale.is_empty() {
            return Err(Error::internal("a transaction failed without a reason"));
        }
        Ok(Extended::Stale(stale))
    }

    /// Signs a head anew, if it is still the same. Answers whether it was.
    pub(crate) async fn renew(&self, client: ClientId, old: &Head, new: Head) -> Result<bool> {
        let put = self.0.put(&head_key(client), &HeadRow::new(new)).when(same(old));
        Ok(matches!(put.run().await?, Update::Done(_)))
    }
}

fn same(head: &Head) -> Condition {
    Condition::eq(SEQ, head.seq).and(Condition::eq(DIGEST, head.digest))
}

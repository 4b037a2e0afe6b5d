//! Links unlinked records into the chains of their clients.
//!
//! A record is acknowledged before it is linked, so that accesses of one journal don't contend for one head. The linker
//! finds unlinked records by a sparse index, and in one transaction moves a client's head and links up to 99 records
//! before it: a head never exists without its records. Any number of linkers may run, and may stop at any point: the
//! slower of two finds the head moved, and leaves the client to the next round.
//!
//! A head whose signature is invalid is not extended: signing its successors would hide that it was changed.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use dynamo::{Cursor, Item, Query};
use futures_util::future::join;
use futures_util::{StreamExt as _, stream};
use kernel::{ClientId, Clock, Error, Kind, Result};

use crate::chain::Signers;
use crate::model::{Digest, Facts, Head, Link};
use crate::policy::{self, AllChains};
use crate::store::{Extended, LINKED_AT_ONCE, Store, Waiting, client_of, signed_by};

/// Maximum number of unlinked records held in memory.
const BATCH: u16 = 500;
/// Maximum number of chains extended concurrently: few, so that requests are not slowed down.
const MAX_CONCURRENT_CHAINS: usize = 4;
/// Interval of the search for heads signed by a previous key. They also appear after a start: while replicas are
/// replaced, the old ones sign by the previous key.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(3600);

/// Links records.
#[derive(Clone)]
pub(crate) struct Linker {
    store: Store,
    permit: AllChains,
    signers: Arc<Signers>,
    clock: Arc<dyn Clock>,
}

/// The result of one round.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Round {
    /// Number of linked records.
    pub(crate) linked: usize,
    /// Number of records found and not linked: another linker was faster, or something failed.
    pub(crate) left: usize,
}

impl Linker {
    pub(crate) fn new(store: Store, signers: Arc<Signers>, clock: Arc<dyn Clock>) -> Self {
        Self { store, permit: policy::all_chains(), signers, clock }
    }

    /// Links unlinked records at every interval, and renews heads, until it is dropped.
    pub(crate) async fn run(self, interval: Duration) {
        let link = async {
            loop {
                tokio::time::sleep(interval).await;
                self.link_once().await;
            }
        };
        let renew = async {
            loop {
                self.renew_heads(interval).await;
                tokio::time::sleep(RENEWAL_INTERVAL).await;
            }
        };
        join(renew, link).await;
    }

    /// Tries to link every unlinked record once. A failure is logged, delays no other client, and is retried in the
    /// next round.
    pub(crate) async fn link_once(&self) -> Round {
        let mut round = Round::default();
        for first in self.store.waiting(self.permit) {
            let mut query = Some(first.clone().limit(BATCH));
            while let Some(page) = query.take() {
                match page.page().await {
                    Ok(rows) => {
                        let done = self.link(rows.items).await;
                        round.linked += done.linked;
                        round.left += done.left;
                        query = rows.next.map(|cursor| first.clone().limit(BATCH).after(cursor));
                    }
                    Err(error) => warn(&error, "accesses that are to be linked can't be read"),
                }
            }
        }
        round
    }

    async fn link(&self, items: Vec<Item>) -> Round {
        let found = items.len();
        let mut clients: BTreeMap<ClientId, Vec<Facts>> = BTreeMap::new();
        for item in items {
            match client_of(&item).and_then(|client| Ok((client, Waiting::try_from(item)?))) {
                Ok((client, waiting)) => clients.entry(client).or_default().push(waiting.facts),
                Err(error) => warn(&error, "an access can't be linked"),
            }
        }
        let linked = stream::iter(clients).map(|(client, records)| self.link_client(client, records));
        let linked = linked.buffer_unordered(MAX_CONCURRENT_CHAINS).fold(0, async |sum, linked| sum + linked).await;
        Round { linked, left: found - linked }
    }

    /// Links these records of one client. Returns how many.
    async fn link_client(&self, client: ClientId, records: Vec<Facts>) -> usize {
        let mut linked = 0;
        for records in records.chunks(LINKED_AT_ONCE) {
            match self.extend(client, records).await {
                Ok(Some(count)) => linked += count,
                Ok(None) => break,
                Err(error) => {
                    warn(&error, "the accesses to a journal wait for the next round");
                    break;
                }
            }
        }
        linked
    }

    /// Links these records by one transaction, without those that are already linked. Returns how many, or `None` if
    /// another linker extended the chain.
    async fn extend(&self, client: ClientId, records: &[Facts]) -> Result<Option<usize>> {
        let old = self.store.head(self.permit, client).await?.transpose()?;
        if let Some(head) = &old {
            let invalid_head = |reason| Error::internal(format!("the head of a chain is not extended: {reason:?}"));
            self.signers.verify(client, head).map_err(invalid_head)?;
        }
        let mut stale = BTreeSet::new();
        // Each iteration leaves out at least one more record.
        loop {
            let mut end = old.as_ref().map_or((0, Digest::NONE), |head| (head.seq, head.digest));
            let waiting = records.iter().filter(|facts| !stale.contains(&facts.id));
            let links: Vec<_> = waiting
                .map(|facts| {
                    let link: Link = facts.after(end.0, end.1);
                    end = (link.seq, link.digest);
                    (facts.id, link)
                })
                .collect();
            if links.is_empty() {
                return Ok(Some(0));
            }
            let head: Head = self.signers.sign(client, end.0, end.1, self.clock.now())?;
            match self.store.extend(self.permit, client, old.as_ref(), head, &links).await? {
                Extended::Done => return Ok(Some(links.len())),
                Extended::Conflict => return Ok(None),
                Extended::Stale(gone) => stale.extend(gone),
            }
        }
    }

    /// Renews the signatures of heads signed by a previous key, so that the key can be retired. A failure is logged,
    /// and is retried after a pause; a head whose signature is invalid is left as it is.
    pub(crate) async fn renew_heads(&self, pause: Duration) {
        let mut query = Some(self.store.chains(self.permit).limit(BATCH));
        while let Some(page) = query.take() {
            match self.renew_page(page.clone()).await {
                Ok(next) => query = next.map(|cursor| page.after(cursor)),
                Err(error) => {
                    warn(&error, "not all heads of chains that a previous key signed are signed anew yet");
                    tokio::time::sleep(pause).await;
                    query = Some(page);
                }
            }
        }
    }

    /// Renews the heads of one page of chains. Returns the cursor of the next.
    async fn renew_page(&self, page: Query) -> Result<Option<Cursor>> {
        let rows = page.page().await?;
        let old = |item: &&Item| signed_by(item).is_some_and(|key| !self.signers.is_current(key));
        for item in rows.items.iter().filter(old) {
            let renewed = async { self.renew_head(client_of(item)?).await };
            match renewed.await {
                Err(error) if error.kind() == Kind::Internal => warn(&error, "the head of a chain is not signed anew"),
                renewed => renewed?,
            }
        }
        Ok(rows.next)
    }

    async fn renew_head(&self, client: ClientId) -> Result<()> {
        let Some(old) = self.store.head(self.permit, client).await?.transpose()? else { return Ok(()) };
        if self.signers.is_current(&old.key_id) {
            return Ok(());
        }
        let invalid_head = |reason| Error::internal(format!("the head of a chain is not signed anew: {reason:?}"));
        self.signers.verify(client, &old).map_err(invalid_head)?;
        let new = self.signers.sign(client, old.seq, old.digest, self.clock.now())?;
        // A head that has moved was signed by the present key.
        self.store.renew(self.permit, client, &old, new).await.map(drop)
    }
}

fn warn(error: &Error, what: &'static str) {
    tracing::warn!(%error, cause = error.source(), "{what}");
}

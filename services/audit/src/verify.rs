//! Verifies that the chains in the table are the ones that were signed.

mod heads;
mod report;
mod walk;

use std::collections::BTreeSet;

use dynamo::secret::Secrets;
use kernel::{ClientId, Result};

pub use heads::Heads;
pub use report::{Chain, Finding, Flaw, Report};

use crate::AUDIT;
use crate::chain::{HeadError, Signers};
use crate::model::{AccessId, Head, People};
use crate::policy::{self, AllChains};
use crate::store::{Place, Record, Store, client_of, id_of};
use walk::{Linked, walk};

/// Maximum number of items read by one Query.
const BATCH: u16 = 500;

/// Verifies the chain of one client, or of all, and names the first record of each that was altered, dropped, reordered
/// or cut off, and every head that is not as it was signed.
///
/// It reads by Query and GetItem alone, and may run while the mesh does: a chain with findings is read twice.
///
/// A valid chain that lacks the end `known` of it from before was rolled back: the first missing record is named.
///
/// `progress` is called after each client. It takes about 300 bytes of memory for each record of one client at a time.
///
/// # Errors
/// UNAVAILABLE or INTERNAL when the table can't be read: that says nothing about the chains.
pub async fn verify(
    dynamodb: &dynamo::Client,
    secrets: &Secrets,
    client: Option<ClientId>,
    known: &Heads,
    mut progress: impl FnMut(&Chain),
) -> Result<Report> {
    let store = Store::new(dynamodb.table(&AUDIT));
    let verifier = Verifier { store, permit: policy::all_chains(), signers: Signers::new(secrets)?, known };
    let mut report = Report::default();
    if let Some(client) = client {
        let (chain, findings) = verifier.client(client).await?;
        report.unlinked = chain.unlinked;
        progress(&chain);
        report.add(&chain, findings);
        return Ok(report);
    }
    let mut unseen: BTreeSet<ClientId> = known.clients().collect();
    let mut last = None;
    let mut query = Some(verifier.store.chains(verifier.permit));
    while let Some(page) = query.take() {
        let rows = page.limit(BATCH).page().await?;
        for item in &rows.items {
            let client = client_of(item)?;
            // The head and the first record of a client are adjacent in the index.
            if last.replace(client) != Some(client) {
                unseen.remove(&client);
                let (chain, findings) = verifier.client(client).await?;
                progress(&chain);
                report.add(&chain, findings);
            }
        }
        query = rows.next.map(|cursor| verifier.store.chains(verifier.permit).after(cursor));
    }
    for client in unseen {
        let (chain, findings) = verifier.client(client).await?;
        progress(&chain);
        report.add(&chain, findings);
    }
    report.unlinked = verifier.count_unlinked().await?;
    Ok(report)
}

struct Verifier<'a> {
    store: Store,
    permit: AllChains,
    signers: Signers,
    known: &'a Heads,
}

/// The content of a client's partition.
#[derive(Default)]
struct Seen {
    linked: Vec<Linked>,
    unlinked: u64,
    erased: u64,
    /// Ids of malformed records; `None` for an item whose key holds no record id.
    broken: Vec<Option<AccessId>>,
}

impl Verifier<'_> {
    /// Verifies one chain, and repeats it on findings: while records are being linked, a Query may see half of a
    /// transaction.
    async fn client(&self, client: ClientId) -> Result<(Chain, Vec<Finding>)> {
        let first = self.verify_once(client).await?;
        if first.1.is_empty() { Ok(first) } else { self.verify_once(client).await }
    }

    async fn verify_once(&self, client: ClientId) -> Result<(Chain, Vec<Finding>)> {
        // The head first: every record up to it is linked when the records are read.
        let head = self.head(client).await?;
        let Seen { mut linked, unlinked, erased, broken } = self.records(client).await?;
        linked.sort_by_key(|record| (record.link.seq, record.facts.id));
        let trusted = head.as_ref().ok().and_then(Option::as_ref);
        let mut flaws = Vec::new();
        flaws.extend(walk(&linked, &broken, trusted));
        match &head {
            Err(flaw) => flaws.push((None, None, *flaw)),
            Ok(None) if !linked.is_empty() => flaws.push((None, None, Flaw::HeadMissing)),
            Ok(_) => {}
        }
        if let Some(head) = trusted
            && flaws.is_empty()
            && let Some(beyond) = linked.iter().find(|record| record.link.seq > head.seq)
        {
            // Linked while the records were read, if the head has moved as far.
            let moved = self
                .head(client)
                .await?
                .ok()
                .flatten()
                .is_some_and(|now| linked.last().is_some_and(|last| last.link.seq <= now.seq));
            if !moved {
                flaws.push((Some(beyond.link.seq), Some(beyond.facts.id), Flaw::BeyondHead));
            }
        }
        if flaws.is_empty() {
            flaws.extend(self.known.missing(client, &linked));
        }
        let chain = Chain {
            client,
            linked: linked.len() as u64,
            unlinked,
            erased,
            head: trusted.map(|head| (head.seq, head.digest.to_string())),
        };
        let name = |(seq, access_id, flaw)| Finding { client, seq, access_id, flaw };
        Ok((chain, flaws.into_iter().map(name).collect()))
    }

    async fn head(&self, client: ClientId) -> Result<std::result::Result<Option<Head>, Flaw>> {
        Ok(match self.store.head(self.permit, client).await? {
            None => Ok(None),
            Some(Err(_)) => Err(Flaw::HeadAltered),
            Some(Ok(head)) => match self.signers.verify(client, &head) {
                Ok(()) => Ok(Some(head)),
                Err(HeadError::Forged) => Err(Flaw::HeadForged),
                Err(HeadError::UnknownKey) => Err(Flaw::HeadOfUnknownKey),
            },
        })
    }

    async fn records(&self, client: ClientId) -> Result<Seen> {
        let mut seen = Seen::default();
        let mut query = Some(self.store.records(self.permit, client));
        while let Some(page) = query.take() {
            let rows = page.limit(BATCH).page().await?;
            for item in rows.items {
                let id = id_of(&item).ok();
                seen.add(client, id, Record::try_from(item));
            }
            query = rows.next.map(|cursor| self.store.records(self.permit, client).after(cursor));
        }
        Ok(seen)
    }

    /// Counts the unlinked records of all clients.
    async fn count_unlinked(&self) -> Result<u64> {
        let mut count = 0;
        for first in self.store.waiting(self.permit) {
            let mut query = Some(first.clone());
            while let Some(page) = query.take() {
                let rows = page.limit(BATCH).page().await?;
                count += rows.items.len() as u64;
                query = rows.next.map(|cursor| first.clone().after(cursor));
            }
        }
        Ok(count)
    }
}

impl Seen {
    fn add(&mut self, client: ClientId, id: Option<AccessId>, record: Result<Record>) {
        let (Some(id), Ok(Record { facts, personal, place })) = (id, record) else {
            return self.broken.push(id);
        };
        let intact = personal.as_ref().is_none_or(|personal| facts.people == People::of(client, personal));
        self.erased += u64::from(personal.is_none());
        match place {
            Place::Waiting => self.unlinked += 1,
            Place::Linked(link) => self.linked.push(Linked { facts, link, intact }),
            Place::Contradictory => self.broken.push(Some(id)),
        }
    }
}

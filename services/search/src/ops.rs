//! The use case of a search.
//!
//! The index finds candidates in the scopes that the caller may search. Their texts are then read from the owners, who
//! decide afresh what the caller may read, and the opened text decides whether it matches.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chassis::Context;
use dynamo::{Cursor, PageTokens};
use kernel::{ClientId, Error, Page, Result, SessionId};
use keyring::Keyring;
use peers::ClientNames;
use tokio::sync::Semaphore;

use crate::error::too_many_clients;
use crate::index::{
    DocumentId, Found as IndexFound, Hit as IndexHit, Index, Position, Scope, ScopeId, Search, Searched,
};
use crate::model::{EntryName, Found, Hit, Kind, NamedClient, Notes, Range, ReadableEntry, Request};
use crate::owners::{Disclosure, Owners, Searchable};
use crate::policy::{ClientSearch, Clients, Side, TherapistSearch};
use crate::text::{Snippet, Term};

/// Maximum look-ups of candidates for one page: candidates that don't match leave room on it.
const MAX_ROUNDS: usize = 6;
/// Maximum candidates of a look-up, whose texts are in memory at a time.
const MAX_CANDIDATES: u16 = 64;
/// Maximum look-ups of a process whose texts are in memory at a time.
pub(crate) const MAX_READS: usize = 8;
/// Maximum scopes of one search: each costs a Query.
const MAX_SCOPES: usize = 2_000;
/// Maximum names of one call.
const MAX_NAMES: usize = 200;
/// Attribute of the position in a page token.
const POSITION: &str = "position";

/// The use case and its dependencies.
pub(crate) struct Ops {
    pub(crate) index: Index,
    pub(crate) keyring: Keyring,
    pub(crate) owners: Owners,
    pub(crate) names: ClientNames,
    pub(crate) tokens: PageTokens,
    /// Places of look-ups that read texts.
    pub(crate) reads: Semaphore,
}

/// All that one caller may search now.
struct Space {
    scopes: Vec<(Scope, Range)>,
    /// Clients whose names match, newest first.
    names: Vec<NamedClient>,
}

/// A page that is being filled.
struct PageBuilder {
    size: usize,
    hits: Vec<Hit>,
    /// Journals of which entries were opened, by their grants, and the number of entries that the page shows.
    opened: BTreeMap<(ClientId, String), usize>,
}

/// Candidates of one round, in the order of hits.
struct Round {
    candidates: Vec<(Position, Candidate)>,
    next: Option<Position>,
}

#[derive(Clone)]
enum Candidate {
    Text(ScopeId, DocumentId),
    Name(NamedClient),
}

/// Hits of one round, and the journals of which entries were opened for it, with the number of those that are hits.
struct Matching {
    hits: Vec<Hit>,
    opened: BTreeMap<(ClientId, String), usize>,
}

/// Texts of one round that the caller may read.
#[derive(Default)]
struct Texts {
    entries: HashMap<EntryName, ReadableEntry>,
    notes: HashMap<SessionId, Notes>,
}

impl Ops {
    /// Returns a page of hits, newest first. What a therapist reads of journals is in the access logs before it returns.
    pub(crate) async fn search(&self, context: &Context, side: Side, request: Request) -> Result<Page<Hit>> {
        let request = Arc::new(request);
        let binding = binding(side, &request);
        let caller = side.person();
        let mut at = match &*request.token {
            "" => None,
            token => Some(position(&self.tokens.open(caller.as_bytes(), &binding, token)?)?),
        };
        let space = match side {
            Side::Client(client) => self.space_of_client(context, client, &request).await?,
            Side::Therapist(therapist) => self.space_of_therapist(context, therapist, &request).await?,
        };
        let terms = request.query.terms();
        let terms: Vec<_> = terms.iter().map(Term::as_str).collect();
        let mut page = PageBuilder { size: request.size.get().into(), hits: Vec::new(), opened: BTreeMap::new() };
        for _ in 0..MAX_ROUNDS {
            let round = self.round(&space, &terms, at, page.room()).await?;
            at = round.next;
            page.extend(self.matching(context, side, &request, round.candidates).await?);
            if at.is_none() || page.room() == 0 {
                break;
            }
        }
        if let Side::Therapist(_) = side {
            self.owners.record(context, &page.disclosures()).await?;
        }
        let seal = |at: Position| {
            let cursor = Cursor::new([(POSITION.to_owned(), at.to_string())]);
            self.tokens.seal(caller.as_bytes(), &binding, &cursor)
        };
        Ok(Page { items: page.hits, next: at.map(seal).transpose()? })
    }

    /// Returns the hits among candidates, and the journals of which entries were opened for it.
    async fn matching(
        &self,
        context: &Context,
        side: Side,
        request: &Arc<Request>,
        candidates: Vec<(Position, Candidate)>,
    ) -> Result<Matching> {
        let _place = self.reads.acquire().await.map_err(Error::unavailable)?;
        let texts = self.read(context, &candidates).await?;
        let request = Arc::clone(request);
        // Long texts take milliseconds each, for which other requests must not wait.
        let matching = tokio::task::spawn_blocking(move || texts.matching(side, &request, candidates));
        matching.await.map_err(Error::internal)
    }

    async fn space_of_client(&self, context: &Context, permit: ClientSearch, request: &Request) -> Result<Space> {
        let mut ids = Vec::new();
        if request.wants(Kind::Journal) {
            ids.extend(permit.journal().map(|scope| (scope, request.range)));
        }
        if request.wants(Kind::Notes) {
            let listed = self.index.scopes_of(permit.person()).await?;
            ids.extend(listed.into_iter().filter(|scope| permit.searches(*scope)).map(|id| (id, request.range)));
        }
        Ok(Space { scopes: self.scopes(context, ids).await?, names: Vec::new() })
    }

    async fn space_of_therapist(&self, context: &Context, permit: TherapistSearch, request: &Request) -> Result<Space> {
        let (mut ids, mut names) = (Vec::new(), Vec::new());
        if request.wants(Kind::Notes) {
            let listed = self.index.scopes_of(permit.therapist().into()).await?;
            ids.extend(listed.into_iter().filter(|scope| permit.searches(*scope)).map(|id| (id, request.range)));
        }
        let named = match permit.clients() {
            Clients::All => None,
            Clients::One(client) => Some(client),
            Clients::None => return Ok(Space { scopes: self.scopes(context, ids).await?, names }),
        };
        if request.wants(Kind::Journal) || request.wants(Kind::Clients) {
            let clients = self.owners.searchable_clients(context, named, request.wants(Kind::Clients)).await?;
            if request.wants(Kind::Journal) {
                ids.extend(clients.iter().filter_map(|client| journal(client, request.range)));
            }
            if request.wants(Kind::Clients) {
                names = self.names(context, &clients, request).await?;
            }
        }
        Ok(Space { scopes: self.scopes(context, ids).await?, names })
    }

    /// Returns these scopes with their keys, but those whose key was destroyed.
    async fn scopes(&self, context: &Context, ids: Vec<(ScopeId, Range)>) -> Result<Vec<(Scope, Range)>> {
        if ids.len() > MAX_SCOPES {
            return Err(too_many_clients());
        }
        let keys = self.keyring.keys(context, ids.iter().map(|(id, _)| id.owner())).await?;
        let scope = |(id, range): (ScopeId, Range)| {
            let key = keys.get(&id.owner())?;
            Some(Scope::new(id, key).map(|scope| (scope, range)))
        };
        ids.into_iter().filter_map(scope).collect()
    }

    /// Returns the related clients whose names match, newest first.
    async fn names(&self, context: &Context, clients: &[Searchable], request: &Request) -> Result<Vec<NamedClient>> {
        let agreed = |client: &Searchable| {
            let since = client.agreed_since.filter(|since| request.range.contains(*since))?;
            Some((client.client, since))
        };
        let agreed: Vec<_> = clients.iter().filter_map(agreed).collect();
        let mut named = Vec::new();
        for agreed in agreed.chunks(MAX_NAMES) {
            let names = self.names.of(context, agreed.iter().map(|(client, _)| *client)).await?;
            named.extend(agreed.iter().filter_map(|(client, since)| {
                let name = names.get(client)?;
                let matches = request.query.find(name)?;
                Some(NamedClient { client: *client, since: *since, snippet: Snippet::new(name, &matches) })
            }));
        }
        named.sort_unstable_by_key(|named| std::cmp::Reverse(named.position()));
        Ok(named)
    }

    /// Finds the next candidates: texts and names in one order, from a position down.
    async fn round(&self, space: &Space, terms: &[&str], at: Option<Position>, room: u16) -> Result<Round> {
        let scopes = space.scopes.iter();
        let scopes: Vec<_> = scopes.map(|(scope, range)| Searched { scope, from: range.from, to: range.to }).collect();
        let room = room.min(MAX_CANDIDATES);
        let search = Search { scopes: &scopes, terms, at, limit: room, unchecked: room };
        let IndexFound { hits, next } = self.index.find(&search).await?;
        let text = |hit: IndexHit| {
            let scope = scopes[hit.scope].scope;
            (Position::of(hit.document, scope), Candidate::Text(scope.id(), hit.document.id()))
        };
        // Names below what the index has decided come with a later round.
        let names = space.names.iter().map(|name| (name.position(), Candidate::Name(name.clone())));
        let names = names.filter(|(place, _)| at.is_none_or(|at| *place <= at));
        let (decided, later): (Vec<_>, Vec<_>) = names.partition(|(place, _)| next.is_none_or(|next| *place > next));
        let mut candidates: Vec<_> = hits.into_iter().map(text).chain(decided).collect();
        candidates.sort_unstable_by_key(|(place, _)| std::cmp::Reverse(*place));
        let left = candidates.split_off(candidates.len().min(room.into()));
        let rest = left.into_iter().chain(later).map(|(place, _)| place);
        Ok(Round { candidates, next: rest.chain(next).max() })
    }

    /// Reads the texts of candidates from their owners.
    async fn read(&self, context: &Context, candidates: &[(Position, Candidate)]) -> Result<Texts> {
        let (mut entries, mut sessions) = (Vec::new(), Vec::new());
        for (_, candidate) in candidates {
            match candidate {
                Candidate::Text(ScopeId::SharedJournal(client) | ScopeId::PrivateJournal(client), id) => {
                    entries.push(EntryName::of(*client, *id));
                }
                Candidate::Text(_, id) => sessions.push(SessionId::from_bytes(*id)),
                Candidate::Name(_) => {}
            }
        }
        sessions.sort_unstable();
        sessions.dedup();
        let (entries, notes) = futures_util::future::try_join(
            self.owners.readable_entries(context, &entries),
            self.owners.readable_notes(context, &sessions),
        )
        .await?;
        Ok(Texts {
            entries: entries.into_iter().map(|it| (it.entry.name, it)).collect(),
            notes: notes.into_iter().map(|it| (it.session, it)).collect(),
        })
    }
}

impl PageBuilder {
    /// Returns the number of hits that still fit.
    fn room(&self) -> u16 {
        u16::try_from(self.size.saturating_sub(self.hits.len())).unwrap_or(u16::MAX)
    }

    fn extend(&mut self, matching: Matching) {
        for (journal, shown) in matching.opened {
            *self.opened.entry(journal).or_default() += shown;
        }
        self.hits.extend(matching.hits);
    }

    /// Returns the journals of which entries were opened, also those that the page shows nothing of: that nothing more
    /// matches tells something of them too.
    fn disclosures(&self) -> Vec<Disclosure> {
        let disclosure = |((client, grant), entries): (&(ClientId, String), &usize)| Disclosure {
            client: *client,
            grant: grant.clone(),
            entries: *entries,
        };
        self.opened.iter().map(disclosure).collect()
    }
}

impl Texts {
    fn matching(self, side: Side, request: &Request, candidates: Vec<(Position, Candidate)>) -> Matching {
        let journal = |it: &ReadableEntry| (it.entry.name.client, it.grant.clone());
        let mut opened: BTreeMap<_, _> = self.entries.values().map(|it| (journal(it), 0)).collect();
        let hit = |(_, candidate)| match candidate {
            Candidate::Text(scope, id) => self.hit(side, request, scope, id),
            Candidate::Name(name) => named(side, name),
        };
        let hits: Vec<_> = candidates.into_iter().filter_map(hit).collect();
        for hit in &hits {
            if let Found::Entry { name, grant, .. } = &hit.found {
                *opened.entry((name.client, grant.clone())).or_default() += 1;
            }
        }
        Matching { hits, opened }
    }

    /// Returns the hit of a candidate, if the caller may read its text and it matches.
    fn hit(&self, side: Side, request: &Request, scope: ScopeId, id: DocumentId) -> Option<Hit> {
        let (found, millisecond, text) = match scope {
            ScopeId::SharedJournal(client) | ScopeId::PrivateJournal(client) => {
                let ReadableEntry { entry, grant } = self.entries.get(&EntryName::of(client, id))?;
                // Its visibility may have changed since the index was written: then it is in the other scope, or will be.
                if entry.scope() != scope {
                    return None;
                }
                let found = Found::Entry { name: entry.name, is_private: entry.is_private, grant: grant.clone() };
                (found, entry.name.document().millisecond(), &*entry.text)
            }
            ScopeId::SharedNotes(..) | ScopeId::PrivateNotes(_) | ScopeId::DraftNotes(_) => {
                let notes = self.notes.get(&SessionId::from_bytes(id))?;
                let (is_private, text) = (matches!(scope, ScopeId::PrivateNotes(_)), notes.text_of(scope)?);
                if matches!(side, Side::Therapist(permit) if !permit.includes(notes.client)) {
                    return None;
                }
                let Notes { session, therapist, client, start, .. } = *notes;
                (Found::Notes { session, therapist, client, is_private }, start, text)
            }
        };
        let matches = request.range.contains(millisecond).then(|| request.query.find(text)).flatten()?;
        Some(Hit { found, millisecond, snippet: Snippet::new(text, &matches) })
    }
}

fn named(side: Side, name: NamedClient) -> Option<Hit> {
    let Side::Therapist(permit) = side else { return None };
    let found = Found::Client { client: name.client, therapist: permit.therapist() };
    Some(Hit { found, millisecond: name.since, snippet: name.snippet })
}

/// Returns the scope of a client's journal within the grant; `None` without one.
fn journal(client: &Searchable, range: Range) -> Option<(ScopeId, Range)> {
    let from = client.journal_from?.max(range.from);
    Some((ScopeId::SharedJournal(client.client), Range { from, ..range }))
}

/// Returns the binding of page tokens besides the caller: all that decides what the pages hold.
fn binding(side: Side, request: &Request) -> Vec<u8> {
    let Request { query: _, written, kinds, range, size: _, token: _ } = request;
    let mut binding = b"search/".to_vec();
    binding.extend([range.from, range.to].iter().flat_map(|bound| bound.to_be_bytes()));
    binding.extend(Kind::ALL.map(|kind| u8::from(kinds.contains(&kind))));
    match side {
        Side::Client(_) => binding.push(0),
        Side::Therapist(permit) => match permit.clients() {
            Clients::All => binding.push(0),
            Clients::None => binding.push(1),
            Clients::One(client) => binding.extend(std::iter::once(2).chain(*client.as_bytes())),
        },
    }
    binding.extend(written.bytes());
    binding
}

fn position(cursor: &Cursor) -> Result<Position> {
    let position = cursor.text(POSITION).and_then(|text| text.parse().ok());
    position.ok_or_else(|| Error::internal("a page token of a search has no position"))
}

//! Compares the search index with the texts that journals and sessions hold, and restores it, for operators.
//!
//! It reads the tables itself, person by person, with the person's data key from vault's table. Services may run
//! meanwhile: each text is compared in a version that is read consistently, and the index takes the newest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use chassis::Platform;
use dynamo::seal::SealingKey;
use dynamo::secret::Secrets;
use journals::JournalTexts;
use kernel::{BoxError, ClientId, Error, Party, SessionId, TherapistId, UserId};
use search::index::{Document, DocumentId, ScopeId};
use search::{Difference, Maintenance, OwnedText, Survey};
use sessions::{NotesReader, NotesText};
use tokio::time::{Interval, MissedTickBehavior, interval};
use ulid::Ulid;

/// Sessions of one read.
const PAGE_SIZE: u16 = 100;
/// Texts after which progress is reported.
const REPORTED: u64 = 1_000;

/// The index, with all that it is compared with.
pub struct SearchIndex {
    people: vault::People,
    entries: JournalTexts,
    notes: NotesReader,
    index: Maintenance,
    pace: Interval,
    progress: Progress,
}

/// The outcome so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Number of people whose texts were compared.
    pub people: u64,
    /// Number of texts that were compared.
    pub texts: u64,
    /// Number of differences that were found.
    pub differences: u64,
}

/// A difference between the index and a text.
#[derive(Debug, Clone)]
pub struct Finding {
    place: (ScopeId, DocumentId),
    difference: Difference,
    /// The text as its owner has it; `None` if the owner has none for this scope.
    text: Option<OwnedText>,
    /// The version that the owner has, in this scope or in another one; `None` if it has none.
    version: Option<u64>,
}

/// The texts of one person.
#[derive(Default)]
struct Owned {
    texts: Vec<OwnedText>,
    versions: BTreeMap<DocumentId, u64>,
}

impl SearchIndex {
    /// Opens the tables. At most `rate` texts are compared in a second.
    ///
    /// # Errors
    /// If vault's table can't be read, or holds data keys that none of the key-encryption keys unwraps.
    pub async fn open(
        dynamodb: &dynamo::Client,
        secrets: &Secrets,
        key_encryption_keys: &Secrets,
        rate: u32,
        platform: &Platform,
    ) -> Result<Self, BoxError> {
        let mut pace = interval(Duration::from_secs(1) / rate.max(1));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            people: vault::People::open(dynamodb, key_encryption_keys, platform).await?,
            entries: JournalTexts::new(dynamodb),
            notes: NotesReader::new(dynamodb),
            index: Maintenance::new(dynamodb, secrets, platform)?,
            pace,
            progress: Progress::default(),
        })
    }

    /// Makes the index agree with the texts. `report` is called with the progress after each thousand texts.
    ///
    /// An interrupted run may be repeated: what agrees is only compared.
    ///
    /// # Errors
    /// UNAVAILABLE, ABORTED (`CONFLICT`) or INTERNAL.
    pub async fn rebuild(mut self, mut report: impl FnMut(Progress)) -> Result<Progress, Error> {
        while let Some(people) = self.people.next_page().await? {
            for person in people {
                let Some(key) = self.people.key(person).await? else { continue };
                self.index.relist(person).await?;
                for finding in self.compare(person, &key, &mut report).await? {
                    self.restore(&key, &finding).await?;
                }
            }
        }
        Ok(self.progress)
    }

    /// Returns the differences between the index and the texts. What differs is compared again at the end, because
    /// texts change meanwhile, and the index has the change only moments later. `report` is as of
    /// [`rebuild`](Self::rebuild).
    ///
    /// # Errors
    /// UNAVAILABLE or INTERNAL.
    pub async fn check(mut self, mut report: impl FnMut(Progress)) -> Result<(Progress, Vec<Finding>), Error> {
        let mut differing = BTreeMap::new();
        while let Some(people) = self.people.next_page().await? {
            for person in people {
                let Some(key) = self.people.key(person).await? else { continue };
                let places: BTreeSet<_> =
                    self.compare(person, &key, &mut report).await?.into_iter().map(|it| it.place).collect();
                if !places.is_empty() {
                    differing.insert(person, places);
                }
            }
        }
        let (mut progress, mut findings) = (self.progress, Vec::new());
        for (person, places) in differing {
            let Some(key) = self.people.key(person).await? else { continue };
            let again = self.compare(person, &key, &mut |_| ()).await?;
            findings.extend(again.into_iter().filter(|finding| places.contains(&finding.place)));
        }
        progress.differences = findings.len() as u64;
        Ok((progress, findings))
    }

    /// Compares all texts that are sealed under a person's key.
    async fn compare(
        &mut self,
        person: UserId,
        key: &SealingKey,
        report: &mut impl FnMut(Progress),
    ) -> Result<Vec<Finding>, Error> {
        let survey = self.index.survey(person, key).await?;
        let mut owned = self.owned(person, key).await?;
        let mut findings = Vec::new();
        for text in &owned.texts {
            self.pace.tick().await;
            self.progress.texts += 1;
            if self.progress.texts.is_multiple_of(REPORTED) {
                report(self.progress);
            }
            if let Some(difference) = survey.compare(key, text)? {
                let place = (text.scope, text.document.id());
                findings.push(Finding { place, difference, text: Some(text.clone()), version: Some(text.version) });
            }
        }
        findings.extend(self.left_over(&survey, &mut owned, person, key).await?);
        self.progress.people += 1;
        self.progress.differences += findings.len() as u64;
        Ok(findings)
    }

    /// Returns the texts of the index that their owner doesn't have there.
    async fn left_over(
        &self,
        survey: &Survey,
        owned: &mut Owned,
        person: UserId,
        key: &SealingKey,
    ) -> Result<Vec<Finding>, Error> {
        let places = |owned: &Owned| owned.texts.iter().map(|it| (it.scope, it.document.id())).collect::<BTreeSet<_>>();
        let candidates = survey.left_over(&places(owned));
        // The index of sessions that was read lags: what it doesn't show may be new.
        let unknown = candidates.iter().filter(|(scope, _)| is_of_notes(*scope)).map(|(_, id)| *id);
        let unknown: Vec<_> =
            unknown.filter(|id| !owned.versions.contains_key(id)).map(SessionId::from_bytes).collect();
        for ids in unknown.chunks(PAGE_SIZE.into()) {
            let page = self.notes.of_sessions(ids.to_vec()).await?;
            owned.add_all(person, page.open([(person, key.clone())].into())?);
        }
        let known = places(owned);
        let left = candidates.into_iter().filter(|place| !known.contains(place));
        let finding = |place: (ScopeId, DocumentId)| Finding {
            place,
            difference: Difference::LeftOver,
            text: None,
            version: owned.versions.get(&place.1).copied(),
        };
        Ok(left.map(finding).collect())
    }

    async fn restore(&self, key: &SealingKey, finding: &Finding) -> Result<(), Error> {
        match &finding.text {
            Some(text) => self.index.restore(key, text).await.map(drop),
            None => self.index.remove(key, finding.place.0, finding.place.1, finding.version).await,
        }
    }

    /// Reads all texts that are sealed under a person's key: of a client the entries and the shared notes, of a
    /// therapist the other notes.
    async fn owned(&self, person: UserId, key: &SealingKey) -> Result<Owned, Error> {
        let mut owned = Owned::default();
        let mut after = None;
        loop {
            let page = self.entries.page(person.into(), key, after).await?;
            for entry in page.texts {
                owned.add(OwnedText::of_entry(entry)?);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        for party in [Party::Client(person.into()), Party::Therapist(person.into())] {
            let mut after = None;
            loop {
                let page = self.notes.page(party, after, PAGE_SIZE).await?;
                owned.add_all(person, page.open([(person, key.clone())].into())?);
                after = page.next().cloned();
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(owned)
    }
}

impl Owned {
    fn add(&mut self, text: OwnedText) {
        self.versions.insert(text.document.id(), text.version);
        self.texts.push(text);
    }

    /// Adds the notes of sessions that are sealed under a person's key.
    fn add_all(&mut self, person: UserId, notes: Vec<NotesText>) {
        let (client, therapist) = (ClientId::from(person), TherapistId::from(person));
        for notes in notes {
            let NotesText { session, therapist: of, client: with, start, version, private_notes, shared_notes } = notes;
            let document = Document::new(start.as_millisecond(), *session.as_bytes());
            self.versions.insert(document.id(), version.number());
            let own = [
                (of == therapist, ScopeId::PrivateNotes(of), private_notes),
                (of == therapist && with.is_none(), ScopeId::DraftNotes(of), shared_notes.clone()),
                (with == Some(client), ScopeId::SharedNotes(client, of), shared_notes),
            ];
            for (_, scope, text) in own.into_iter().filter(|(is_own, _, text)| *is_own && !text.as_str().is_empty()) {
                self.texts.push(OwnedText { scope, document, version: version.number(), text: text.into() });
            }
        }
    }
}

/// Returns whether a scope is one of notes.
const fn is_of_notes(scope: ScopeId) -> bool {
    matches!(scope, ScopeId::SharedNotes(..) | ScopeId::PrivateNotes(_) | ScopeId::DraftNotes(_))
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { people, texts, differences } = self;
        write!(f, "{texts} texts of {people} people compared, {differences} differences")
    }
}

/// Names the text by ids.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scope, id) = self.place;
        let entry = Ulid::from_bytes(id);
        let session = SessionId::from_bytes(id);
        match scope {
            ScopeId::SharedJournal(client) => write!(f, "shared entry {entry} of client {client}"),
            ScopeId::PrivateJournal(client) => write!(f, "private entry {entry} of client {client}"),
            ScopeId::SharedNotes(client, _) => write!(f, "notes of session {session} shared with client {client}"),
            ScopeId::PrivateNotes(therapist) => write!(f, "private notes of session {session} of {therapist}"),
            ScopeId::DraftNotes(therapist) => write!(f, "shared notes of slot {session} of {therapist}"),
        }?;
        write!(f, " {}", self.difference)
    }
}

impl fmt::Debug for SearchIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SearchIndex").field("progress", &self.progress).finish_non_exhaustive()
    }
}

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
use sessions::{NotesPage, NotesReader, NotesText};
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
    /// Number of people whose texts could not all be compared or restored; the log says why.
    pub failed: u64,
}

/// A difference between the index and a text, which it names by ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    scope: ScopeId,
    document: DocumentId,
    difference: Difference,
}

/// A place of a text in the index.
type Place = (ScopeId, DocumentId);

/// The purpose of a comparison.
enum Task {
    Restore,
    Check(Vec<Finding>),
}

/// A person whose texts are compared.
struct Person {
    id: UserId,
    key: SealingKey,
    survey: Survey,
    task: Task,
    /// Places of the texts that were compared.
    compared: BTreeSet<Place>,
    /// Versions that the owners have, of entries and of sessions with and without notes.
    versions: BTreeMap<DocumentId, u64>,
}

impl SearchIndex {
    /// Opens the tables. At most `rate` texts are compared in a second, after what the index has of
    /// the person was read; the pages of texts are read at that pace too.
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

    /// Makes the index agree with the texts, and lists all scopes under the current secret. `report` is called with the
    /// progress after each thousand texts.
    ///
    /// An interrupted run may be repeated: what agrees is only compared. A person whose texts can't be compared or
    /// restored is counted and named in the log, and the run goes on.
    ///
    /// # Errors
    /// UNAVAILABLE or INTERNAL when the people can't be listed.
    pub async fn rebuild(mut self, mut report: impl FnMut(Progress)) -> Result<Progress, Error> {
        while let Some(people) = self.people.next_page().await? {
            for person in people {
                self.examine(person, Task::Restore, &mut report).await;
            }
        }
        Ok(self.progress)
    }

    /// Returns the differences between the index and the texts. What differs is compared again at the end, because
    /// texts change meanwhile, and the index has the change only moments later. `report` and failures are as of
    /// [`rebuild`](Self::rebuild).
    ///
    /// # Errors
    /// UNAVAILABLE or INTERNAL when the people can't be listed.
    pub async fn check(mut self, mut report: impl FnMut(Progress)) -> Result<(Progress, Vec<Finding>), Error> {
        let mut differing = BTreeMap::new();
        while let Some(people) = self.people.next_page().await? {
            for person in people {
                let findings = self.examine(person, Task::Check(Vec::new()), &mut report).await;
                if !findings.is_empty() {
                    differing.insert(person, findings.iter().map(Finding::place).collect::<BTreeSet<_>>());
                }
            }
        }
        let (mut progress, mut findings) = (self.progress, Vec::new());
        for (person, places) in differing {
            let again = self.examine(person, Task::Check(Vec::new()), &mut |_| ()).await;
            findings.extend(again.into_iter().filter(|finding| places.contains(&finding.place())));
        }
        progress.differences = findings.len() as u64;
        progress.failed = self.progress.failed;
        Ok((progress, findings))
    }

    /// Compares all texts that are sealed under a person's key. Returns the differences that a check found. Of a person
    /// whose texts can't be compared or restored, only the log says so.
    async fn examine(&mut self, person: UserId, task: Task, report: &mut impl FnMut(Progress)) -> Vec<Finding> {
        match self.compare(person, task, report).await {
            Ok(findings) => findings,
            Err(error) => {
                self.progress.failed += 1;
                let cause = std::error::Error::source(&error);
                tracing::error!(%person, %error, cause, "the search index of a person could not be compared or mended");
                Vec::new()
            }
        }
    }

    async fn compare(
        &mut self,
        id: UserId,
        task: Task,
        report: &mut impl FnMut(Progress),
    ) -> Result<Vec<Finding>, Error> {
        let Some(key) = self.people.key(id).await? else { return Ok(Vec::new()) };
        if matches!(task, Task::Restore) {
            self.index.relist(id).await?;
        }
        let survey = self.index.survey(id, &key).await?;
        if matches!(task, Task::Restore) {
            self.index.discard_broken(&key, &survey).await?;
        }
        let (compared, versions) = (BTreeSet::new(), BTreeMap::new());
        let mut person = Person { id, key, survey, task, compared, versions };
        self.compare_entries(&mut person, report).await?;
        for party in [Party::Client(id.into()), Party::Therapist(id.into())] {
            self.compare_sessions(&mut person, party, report).await?;
        }
        self.compare_left_over(&mut person, report).await?;
        self.progress.people += 1;
        Ok(match person.task {
            Task::Restore => Vec::new(),
            Task::Check(findings) => findings,
        })
    }

    /// Compares the entries of a client.
    async fn compare_entries(&mut self, person: &mut Person, report: &mut impl FnMut(Progress)) -> Result<(), Error> {
        let mut after = None;
        loop {
            let page = self.entries.page(person.id.into(), &person.key, after).await?;
            for entry in page.texts {
                self.compare_text(person, &OwnedText::of_entry(entry)?, report).await?;
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Compares the notes of a person's sessions: of a client those that are shared, of a therapist the others.
    async fn compare_sessions(
        &mut self,
        person: &mut Person,
        party: Party,
        report: &mut impl FnMut(Progress),
    ) -> Result<(), Error> {
        let mut after = None;
        loop {
            let page = self.notes.page(party, after, PAGE_SIZE).await?;
            self.compare_notes(person, &page, report).await?;
            after = page.next().cloned();
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn compare_notes(
        &mut self,
        person: &mut Person,
        page: &NotesPage,
        report: &mut impl FnMut(Progress),
    ) -> Result<(), Error> {
        for notes in page.open([(person.id, person.key.clone())].into())? {
            person.versions.insert(*notes.session.as_bytes(), notes.version.number());
            for text in person.own(notes) {
                self.compare_text(person, &text, report).await?;
            }
        }
        Ok(())
    }

    /// Compares a text, unless it was compared: the lists of a person's two parts, and pages of a list, may overlap.
    async fn compare_text(
        &mut self,
        person: &mut Person,
        text: &OwnedText,
        report: &mut impl FnMut(Progress),
    ) -> Result<(), Error> {
        let (scope, document) = (text.scope, text.document.id());
        if !person.compared.insert((scope, document)) {
            return Ok(());
        }
        person.versions.insert(document, text.version);
        self.pace.tick().await;
        self.progress.texts += 1;
        if self.progress.texts.is_multiple_of(REPORTED) {
            report(self.progress);
        }
        let Some(difference) = person.survey.compare(&person.key, text)? else { return Ok(()) };
        let is_counted = match &mut person.task {
            Task::Restore => self.index.restore(&person.key, text).await?,
            Task::Check(findings) => {
                findings.push(Finding { scope, document, difference });
                true
            }
        };
        self.progress.differences += u64::from(is_counted);
        Ok(())
    }

    /// Finds the texts of the index that their owner doesn't have there.
    async fn compare_left_over(&mut self, person: &mut Person, report: &mut impl FnMut(Progress)) -> Result<(), Error> {
        // The index of sessions that was read lags: what it doesn't show may be new.
        let unknown = person.left_over().into_iter().filter(|(scope, _)| is_of_notes(*scope)).map(|(_, id)| id);
        let unknown: BTreeSet<_> = unknown.filter(|id| !person.versions.contains_key(id)).collect();
        let unknown: Vec<_> = unknown.into_iter().map(SessionId::from_bytes).collect();
        for ids in unknown.chunks(PAGE_SIZE.into()) {
            let page = self.notes.of_sessions(ids.to_vec()).await?;
            self.compare_notes(person, &page, report).await?;
        }
        for (scope, document) in person.left_over() {
            self.progress.differences += 1;
            match &mut person.task {
                Task::Restore => {
                    let version = person.versions.get(&document).copied();
                    self.index.remove(&person.key, scope, document, version).await?;
                }
                Task::Check(findings) => findings.push(Finding { scope, document, difference: Difference::LeftOver }),
            }
        }
        Ok(())
    }
}

impl Person {
    /// Returns the places of the index in which no text was compared.
    fn left_over(&self) -> Vec<Place> {
        self.survey.left_over(&self.compared)
    }

    /// Returns the notes of a session that are sealed under the person's key.
    fn own(&self, notes: NotesText) -> impl Iterator<Item = OwnedText> + use<> {
        let (client, therapist) = (ClientId::from(self.id), TherapistId::from(self.id));
        let NotesText { session, therapist: of, client: with, start, version, private_notes, shared_notes } = notes;
        let document = Document::new(start.as_millisecond(), *session.as_bytes());
        let own = [
            (of == therapist, ScopeId::PrivateNotes(of), private_notes),
            (of == therapist && with.is_none(), ScopeId::DraftNotes(of), shared_notes.clone()),
            (with == Some(client), ScopeId::SharedNotes(client, of), shared_notes),
        ];
        let own = own.into_iter().filter(|(is_own, _, text)| *is_own && !text.as_str().is_empty());
        own.map(move |(_, scope, text)| OwnedText { scope, document, version: version.number(), text: text.into() })
    }
}

impl Finding {
    const fn place(&self) -> Place {
        (self.scope, self.document)
    }
}

/// Returns whether a scope is one of notes.
const fn is_of_notes(scope: ScopeId) -> bool {
    matches!(scope, ScopeId::SharedNotes(..) | ScopeId::PrivateNotes(_) | ScopeId::DraftNotes(_))
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { people, texts, differences, failed } = self;
        write!(f, "{texts} texts of {people} people compared, {differences} differences, {failed} people failed")
    }
}

/// Names the text by ids.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scope, document, difference } = self;
        let (entry, session) = (Ulid::from_bytes(*document), SessionId::from_bytes(*document));
        match scope {
            ScopeId::SharedJournal(client) => write!(f, "shared entry {entry} of client {client}"),
            ScopeId::PrivateJournal(client) => write!(f, "private entry {entry} of client {client}"),
            ScopeId::SharedNotes(client, _) => write!(f, "notes of session {session} shared with client {client}"),
            ScopeId::PrivateNotes(therapist) => write!(f, "private notes of session {session} of {therapist}"),
            ScopeId::DraftNotes(therapist) => write!(f, "shared notes of slot {session} of {therapist}"),
        }?;
        write!(f, " {difference}")
    }
}

impl fmt::Debug for SearchIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SearchIndex").field("progress", &self.progress).finish_non_exhaustive()
    }
}

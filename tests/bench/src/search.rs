//! Searches of one journal of 10^3 and of 10^5 entries and of 200 journals at once.

mod import;
mod writing;

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

pub(crate) use writing::{Writing, writing};

use crate::Result;
use crate::account::Account;
use crate::load::{Times, timed, times};
use crate::process::Mesh;
use import::{Filling, Import};

const SHORT: u32 = 1_000;
const LONG: u32 = 100_000;
/// Entries with the rare word in the short and in the long journal.
const RARE: u32 = 20;
/// Journals that one therapist searches at once, and the entries of each, one of which has the rare word.
const JOURNALS: usize = 200;
const ENTRIES: u32 = 500;
/// Concurrent registrations: few, since each login costs a hash.
const JOINING: usize = 4;
/// Size of a page.
const NEWEST: usize = 50;
/// Searches of each kind before the measured ones.
const WARM_UP: usize = 5;

/// Costs of searching. All searches are a therapist's, over REST.
pub(crate) struct Searches {
    /// Number of imported entries, and the time it took.
    pub(crate) imported: (u32, Duration),
    /// A rare and a common word in the short and in the long journal.
    pub(crate) rare: [Times; 2],
    /// Two common words in the short and in the long journal.
    pub(crate) common: [Times; 2],
    /// A rare and a common word, and two common ones, in 200 journals.
    pub(crate) many: [Times; 2],
}

/// A search, with the number of hits on its first page.
struct Query<'a> {
    words: [&'a str; 2],
    hits: usize,
}

/// A therapist who may read the journals of clients.
struct Desk {
    therapist: Account,
    clients: Vec<Account>,
}

pub(crate) async fn searches(binary: &Path, time: Duration) -> Result<Searches> {
    let data = tempfile::tempdir()?;
    let mesh = Mesh::start_with(binary, data.path(), &["--source-registrations", "1000"]).await?;
    let http = reqwest::Client::new();
    let one = Desk::open(&mesh, &http, "one", 2).await?;
    let many = Desk::open(&mesh, &http, "many", JOURNALS).await?;
    let [short, long] = &*one.clients else { return Err("two journals are named".into()) };
    let mut fillings = vec![Filling::new(short, SHORT, RARE)?, Filling::new(long, LONG, RARE)?];
    for client in &many.clients {
        fillings.push(Filling::new(client, ENTRIES, 1)?);
    }
    let started = Instant::now();
    Import::open(&mesh, data.path()).await?.fill(&fillings).await?;
    let imported = (fillings.iter().map(|filling| filling.entries).sum(), started.elapsed());

    let rare = Query { words: [import::RARE, import::COMMON], hits: RARE as usize };
    let common = Query { words: import::BOTH_COMMON, hits: NEWEST };
    let journals = [Some(short), Some(long)];
    let rare_times = one.measure(&rare, journals, time).await?;
    let common_times = one.measure(&common, journals, time).await?;
    let rare = Query { hits: NEWEST, ..rare };
    let [of_rare, of_common] = [many.measure(&rare, [None], time).await?, many.measure(&common, [None], time).await?];
    mesh.stop()?;
    let many = of_rare.into_iter().chain(of_common).collect::<Vec<_>>();
    let many = many.try_into().map_err(|_| "two searches were measured")?;
    Ok(Searches { imported, rare: rare_times, common: common_times, many })
}

impl Desk {
    /// Registers a therapist and clients, who share their journals. Each has one entry, so that there is a data key.
    async fn open(mesh: &Mesh, http: &reqwest::Client, name: &str, clients: usize) -> Result<Self> {
        let therapist = Account::join(mesh, http, &format!("{name}.desk"), "THERAPIST").await?;
        therapist.create_profile("Noor Haddad").await?;
        let mut desk = Self { therapist, clients: Vec::new() };
        for first in (0..clients).step_by(JOINING) {
            let numbers = first..(first + JOINING).min(clients);
            let joining = numbers.map(|number| desk.join(mesh, http, format!("{name}.{number}")));
            let joined = futures_util::future::try_join_all(joining).await?;
            desk.clients.extend(joined);
        }
        Ok(desk)
    }

    async fn join(&self, mesh: &Mesh, http: &reqwest::Client, name: String) -> Result<Account> {
        let client = Account::join(mesh, http, &name, "CLIENT").await?;
        client.create_client_profile().await?;
        let Account { id, .. } = &client;
        client.post(&format!("/mapping/{id}"), &json!({"therapistId": self.therapist.id})).await?;
        let access = format!("/journal/{id}/access?therapistId={}", self.therapist.id);
        client.put(&access, &json!({"access": "ACCEPTED"})).await?;
        let entry = json!({"emotion": "calm", "intensity": 3, "timestamp": "2023-01-01T12:00:00Z"});
        client.post(&format!("/journal/{id}"), &entry).await?;
        Ok(client)
    }

    /// Measures a search of each of these journals in turns; none means all.
    async fn measure<const N: usize>(
        &self,
        query: &Query<'_>,
        journals: [Option<&Account>; N],
        time: Duration,
    ) -> Result<[Times; N]> {
        for _ in 0..WARM_UP {
            for journal in journals {
                self.search(query, journal).await?;
            }
        }
        let mut measured = journals.map(|_| times());
        let started = Instant::now();
        while started.elapsed() < time {
            for (journal, times) in journals.iter().zip(&mut measured) {
                if let Ok(times) = times {
                    timed(times, self.search(query, *journal)).await?;
                }
            }
        }
        let measured = measured.into_iter().collect::<Result<Vec<_>>>()?;
        measured.try_into().map_err(|_| "each journal was measured".into())
    }

    async fn search(&self, query: &Query<'_>, journal: Option<&Account>) -> Result<()> {
        let Query { words: [one, other], hits } = query;
        let named = journal.map(|client| format!("&clientId={}", client.id)).unwrap_or_default();
        let path = format!("/search?q={one}%20{other}&in=JOURNAL&pageSize={NEWEST}{named}");
        let found = self.therapist.get(&path).await?.as_array().map(Vec::len);
        if found == Some(*hits) { Ok(()) } else { Err(format!("{hits} hits are expected, not {found:?}").into()) }
    }
}

//! Cost of the index for who writes: an entry of 200 words, with search and without.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Result;
use crate::account::Account;
use crate::callers;
use crate::load::{Times, timed, times};
use crate::process::Mesh;

/// Table of the index.
const INDEX: &str = "therapy-SearchIndex";
/// Timeout for an entry to be found.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Reads before each measured write, so that the processes are equally awake.
const WARM_UP: usize = 3;
/// Letters of a word that only one entry has: no stemmer changes it.
const LETTERS: &[u8; 10] = b"bcdfghjklm";

/// Words of the note that are searched for beside the one of the entry alone: the index has them all when the last
/// transactions are done, or nearly.
const OTHERS: &str = "alarm%20puddle%20kitchen";

/// 199 words of a day.
const NOTE: &str = "\
    I woke before the alarm and lay there for a while, listening to the rain on the roof and thinking about the talk \
    with my sister. She said that I never ask for help, and at first I was angry, because it felt like one more \
    thing that I do wrong. But later, on the bus, I noticed that she had not said it to hurt me. She sounded tired, \
    and a little afraid. At work the morning was slow. I made two mistakes in the report and corrected both before \
    anybody saw them, and still my heart was beating as if I had been caught stealing. At lunch I went outside \
    instead of eating at the desk, which we had agreed on last week. The air was cold and clean, and there were \
    children with yellow boots jumping into every puddle. I stood and watched them until my hands stopped shaking. \
    In the evening I wrote to my sister. I told her that she was right, and that I do not know how one asks. She \
    answered at once, with a photograph of our old dog under the kitchen table and one short word. I slept well \
    afterwards";

/// Costs of adding an entry of 200 words over REST.
pub(crate) struct Writing {
    /// Adding one after the other, each when the one before is found; and without search.
    pub(crate) with: Times,
    pub(crate) without: Times,
    /// Delay from the acknowledgement of an entry to the first search that finds it.
    pub(crate) findable: Times,
    /// Adding without a pause, with search and without.
    pub(crate) busy: [Times; 2],
}

/// A client who writes.
struct Writer {
    client: Account,
    written: u32,
}

pub(crate) async fn writing(binary: &Path, time: Duration) -> Result<Writing> {
    let directories = [tempfile::tempdir()?, tempfile::tempdir()?];
    // What search doesn't take is not redelivered meanwhile, and not logged.
    let flags = ["--recovery-interval", "1h", "--log", "off"];
    let indexed = Mesh::start_with(binary, directories[0].path(), &flags).await?;
    let unindexed = Mesh::start_with(binary, directories[1].path(), &flags).await?;
    let (mut with, mut without) = (Writer::new(&indexed).await?, Writer::new(&unindexed).await?);
    callers::store(&unindexed).await.delete_table().table_name(INDEX).send().await?;

    let mut all = Writing { with: times()?, without: times()?, findable: times()?, busy: [times()?, times()?] };
    with.add().await?;
    without.add().await?;
    let started = Instant::now();
    while started.elapsed() < time {
        with.wake().await?;
        timed(&mut all.with, with.add()).await?;
        timed(&mut all.findable, with.found()).await?;
        without.wake().await?;
        timed(&mut all.without, without.add()).await?;
    }
    let [busy, busy_without] = &mut all.busy;
    for (writer, times) in [(&mut without, busy_without), (&mut with, busy)] {
        let started = Instant::now();
        while started.elapsed() < time / 4 {
            timed(times, writer.add()).await?;
        }
    }
    indexed.stop()?;
    unindexed.stop()?;
    Ok(all)
}

impl Writer {
    async fn new(mesh: &Mesh) -> Result<Self> {
        let client = Account::join(mesh, &reqwest::Client::new(), "writer.search", "CLIENT").await?;
        Ok(Self { client, written: 0 })
    }

    async fn add(&mut self) -> Result<()> {
        self.written += 1;
        let note = format!("{NOTE} {}", self.own_word());
        let entry = json!({"emotion": "calm", "intensity": 3, "timestamp": "2023-11-01T12:00:00Z", "note": note});
        self.client.post(&format!("/journal/{}", self.client.id), &entry).await
    }

    async fn wake(&self) -> Result<()> {
        for _ in 0..WARM_UP {
            self.client.get(&format!("/journal/{}?pageSize=1", self.client.id)).await?;
        }
        Ok(())
    }

    /// Waits until a search finds the last entry.
    async fn found(&self) -> Result<()> {
        let path = format!("/search?q={}%20{OTHERS}&in=JOURNAL", self.own_word());
        let search = async {
            while self.client.get(&path).await?.as_array().is_none_or(Vec::is_empty) {}
            Ok(())
        };
        tokio::time::timeout(TIMEOUT, search).await?
    }

    /// Returns the word that only the last entry has.
    fn own_word(&self) -> String {
        let letter = |digit: u8| char::from(LETTERS[usize::from(digit - b'0')]);
        format!("zx{}", self.written.to_string().bytes().map(letter).collect::<String>())
    }
}

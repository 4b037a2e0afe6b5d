//! Journals of a thousand and of a hundred thousand entries, compared with raw DynamoDB calls.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use proto::journals::v1::journal_service_client::JournalServiceClient;
use proto::journals::v1::{CreateEntryRequest, JournalEntry, ListEntriesRequest};
use serde_json::json;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::Result;
use crate::account::{self, Account};
use crate::callers;
use crate::load::{Times, rate, timed, times};
use crate::process::Mesh;

const SHORT: u32 = 1_000;
const LONG: u32 = 100_000;
/// Concurrent writers while a journal is filled.
const WRITERS: u32 = 32;
/// Size of a page with the newest entries.
const NEWEST: u16 = 50;
const LIST: u16 = 100;
/// Timestamp of the first entry. Entries are a minute apart.
const FIRST: i64 = 1_700_000_000;
const TABLE: &str = "therapy-Journals";
const NOTE: &str =
    "A long day, and nobody asked how it was. The walk home along the river helped, a little; I counted boats.";

/// Costs of reading and writing journals.
pub(crate) struct Journals {
    /// Reading the newest entries of the short and of the long journal.
    pub(crate) short: Times,
    pub(crate) long: Times,
    /// Consumed read units of the same two pages.
    pub(crate) units: (f64, f64),
    /// Adding an entry over REST, and a raw PutItem of that size.
    pub(crate) add: Times,
    pub(crate) put: Times,
    /// Lists of 100 per second: decrypted by the service, and by the raw SDK.
    pub(crate) opened: f64,
    pub(crate) queried: f64,
}

/// A client with a journal. Cheap to clone.
#[derive(Clone)]
struct Author {
    account: Account,
    grpc: JournalServiceClient<Channel>,
    store: aws_sdk_dynamodb::Client,
}

pub(crate) async fn journals(mesh: &Mesh, time: Duration) -> Result<Journals> {
    let (short, long) = (Author::new(mesh, "short").await?, Author::new(mesh, "long").await?);
    short.fill(SHORT).await?;
    long.fill(LONG).await?;

    let units = (short.query(NEWEST).await?, long.query(NEWEST).await?);
    let mut all =
        Journals { short: times()?, long: times()?, units, add: times()?, put: times()?, opened: 0.0, queried: 0.0 };
    let started = Instant::now();
    while started.elapsed() < time {
        timed(&mut all.short, short.list(NEWEST)).await?;
        timed(&mut all.long, long.list(NEWEST)).await?;
    }
    let started = Instant::now();
    while started.elapsed() < time {
        timed(&mut all.add, short.add()).await?;
        timed(&mut all.put, short.put()).await?;
    }
    let (mut turns, started) = (0.0, Instant::now());
    while started.elapsed() < time {
        all.opened += rate(&long, |author| async move { author.list(LIST).await }).await?;
        all.queried += rate(&long, |author| async move { author.query(LIST).await.map(drop) }).await?;
        turns += 1.0;
    }
    all.opened /= turns;
    all.queried /= turns;
    Ok(all)
}

impl Author {
    async fn new(mesh: &Mesh, name: &str) -> Result<Self> {
        let account = Account::join(mesh, &reqwest::Client::new(), &format!("{name}.journal"), "CLIENT").await?;
        let channel = account::channel(mesh, "journals").await?;
        let grpc = JournalServiceClient::new(channel).max_decoding_message_size(16 * 1024 * 1024);
        Ok(Self { account, grpc, store: callers::store(mesh).await })
    }

    async fn fill(&self, entries: u32) -> Result<()> {
        let mut writing = JoinSet::new();
        for writer in 0..WRITERS {
            let author = self.clone();
            writing.spawn(async move {
                for number in (writer..entries).step_by(WRITERS as usize) {
                    author.create(FIRST + i64::from(number) * 60).await?;
                }
                Result::Ok(())
            });
        }
        while let Some(written) = writing.join_next().await {
            written??;
        }
        Ok(())
    }

    async fn create(&self, second: i64) -> Result<()> {
        let mut entry = JournalEntry {
            emotion: Some("lonely".to_owned()),
            intensity: Some(3),
            note: Some(NOTE.to_owned()),
            ..JournalEntry::default()
        };
        entry.timestamp.get_or_insert_default().seconds = second;
        let message = CreateEntryRequest { client_id: self.account.id.clone(), entry: Some(entry) };
        self.grpc.clone().create_entry(self.account.request(message)).await?;
        Ok(())
    }

    /// Adds an entry through the front.
    async fn add(&self) -> Result<()> {
        let entry = json!({"emotion": "lonely", "intensity": 3, "timestamp": "2023-11-01T12:00:00Z", "note": NOTE});
        self.account.post(&format!("/journal/{}", self.account.id), &entry).await
    }

    /// Writes an item of the size of an entry by the raw SDK, in an unused partition.
    async fn put(&self) -> Result<()> {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let now = format!("{:?}", Instant::now());
        let put = self
            .store
            .put_item()
            .table_name(TABLE)
            .item("pk", text("BENCH#01933b5e-7a4c-7def-8abc-0123456789ab"))
            .item("sk", text(&format!("ENTRY#{now}")))
            .item("content", AttributeValue::B(vec![7; NOTE.len() + 40].into()))
            .item("created_at", text("2026-01-01T00:00:00.000000Z"))
            .item("updated_at", text("2026-01-01T00:00:00.000000Z"))
            .item("version", AttributeValue::N("1".to_owned()));
        put.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await?;
        Ok(())
    }

    /// Lists the newest entries through the service, which decrypts them.
    async fn list(&self, entries: u16) -> Result<()> {
        let message = ListEntriesRequest {
            client_id: self.account.id.clone(),
            page_size: i32::from(entries),
            ..ListEntriesRequest::default()
        };
        let page = self.grpc.clone().list_entries(self.account.request(message)).await?.into_inner();
        if page.entries.len() == usize::from(entries) { Ok(()) } else { Err("the page is short".into()) }
    }

    /// Reads the same page by the raw SDK, still encrypted. Returns the consumed read units.
    async fn query(&self, entries: u16) -> Result<f64> {
        let page = self
            .store
            .query()
            .table_name(TABLE)
            .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
            .expression_attribute_values(":pk", AttributeValue::S(format!("CLIENT#{}", self.account.id)))
            .expression_attribute_values(":sk", AttributeValue::S("ENTRY#".to_owned()))
            .scan_index_forward(false)
            .consistent_read(true)
            .limit(i32::from(entries))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await?;
        if page.count() != i32::from(entries) {
            return Err("the raw page is short".into());
        }
        Ok(page.consumed_capacity().and_then(|capacity| capacity.capacity_units()).unwrap_or_default())
    }
}

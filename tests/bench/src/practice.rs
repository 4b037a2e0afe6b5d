//! Benchmarks of messages, their watchers, and the slots of therapists.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use proto::messages::v1::message_service_client::MessageServiceClient;
use proto::messages::v1::{ListMessagesRequest, SendMessageRequest};
use proto::sessions::v1::session_service_client::SessionServiceClient;
use proto::sessions::v1::{CreateSessionRequest, ListSessionsRequest, Session, SessionStatus};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::Result;
use crate::account::{self, Account};
use crate::callers;
use crate::load::{Times, timed, times};
use crate::process::Mesh;

const SHORT: u32 = 100;
const LONG: u32 = 100_000;
/// Concurrent writers while a conversation or a calendar is filled.
const WRITERS: u32 = 32;
const PAGE: i32 = 50;
const WATCHERS: usize = 200;
/// Concurrent registrations: few, since each login costs a hash.
const JOINING: usize = 4;
/// Days with a session an hour: a week, and enough for about 10^4 sessions.
const WEEK: u32 = 7;
const DAYS: u32 = 420;
const TABLE: &str = "therapy-Messages";
const TEXT: &str = "I keep thinking about what you said, that it need not be solved by Friday. It helped, I think.";

/// Costs of messages and sessions.
pub(crate) struct Practice {
    /// Sending over REST, and a raw PutItem of that size.
    pub(crate) send: Times,
    pub(crate) put: Times,
    /// Reading the newest messages of the short and of the long conversation.
    pub(crate) short: Times,
    pub(crate) long: Times,
    /// Delay from the acknowledgement of a message to its delivery to a watcher.
    pub(crate) seen: Times,
    /// Listing the free slots of a week, of a therapist with no others, and of one with 10^4.
    pub(crate) few: Times,
    pub(crate) many: Times,
}

pub(crate) async fn practice(mesh: &Mesh, time: Duration) -> Result<Practice> {
    let http = reqwest::Client::new();
    let noor = Account::join(mesh, &http, "noor.practice", "THERAPIST").await?;
    noor.create_profile("Noor Haddad").await?;
    let messages = MessageServiceClient::new(account::channel(mesh, "messages").await?);
    let short = Writer::new(mesh, &http, "short", &noor, &messages).await?;
    let long = Writer::new(mesh, &http, "long", &noor, &messages).await?;
    short.fill(SHORT).await?;
    long.fill(LONG).await?;

    let mut all = Practice {
        send: times()?,
        put: times()?,
        short: times()?,
        long: times()?,
        seen: times()?,
        few: times()?,
        many: times()?,
    };
    let started = Instant::now();
    while started.elapsed() < time {
        timed(&mut all.short, short.newest()).await?;
        timed(&mut all.long, long.newest()).await?;
    }
    let store = callers::store(mesh).await;
    let started = Instant::now();
    while started.elapsed() < time {
        timed(&mut all.send, short.send_by_rest()).await?;
        timed(&mut all.put, put(&store)).await?;
    }
    all.seen = watched(mesh, &http, &noor, time).await?;

    let sessions = SessionServiceClient::new(account::channel(mesh, "sessions").await?);
    let few = Offer::new(mesh, &http, "few", &sessions, WEEK).await?;
    let many = Offer::new(mesh, &http, "many", &sessions, DAYS).await?;
    let started = Instant::now();
    while started.elapsed() < time {
        timed(&mut all.few, few.last_week(&short.client)).await?;
        timed(&mut all.many, many.last_week(&short.client)).await?;
    }
    Ok(all)
}

/// A client who writes to a therapist. Cheap to clone.
#[derive(Clone)]
struct Writer {
    client: Account,
    to: String,
    grpc: MessageServiceClient<Channel>,
}

impl Writer {
    async fn new(
        mesh: &Mesh,
        http: &reqwest::Client,
        name: &str,
        to: &Account,
        grpc: &MessageServiceClient<Channel>,
    ) -> Result<Self> {
        let client = Account::join(mesh, http, &format!("{name}.writer"), "CLIENT").await?;
        client.create_client_profile().await?;
        Ok(Self { client, to: to.id.clone(), grpc: grpc.clone() })
    }

    async fn fill(&self, messages: u32) -> Result<()> {
        let mut writing = JoinSet::new();
        for writer in 0..WRITERS {
            let own = self.clone();
            writing.spawn(async move {
                for _ in (writer..messages).step_by(WRITERS as usize) {
                    let message = SendMessageRequest {
                        receiver_id: own.to.clone(),
                        message: TEXT.to_owned(),
                        ..SendMessageRequest::default()
                    };
                    own.grpc.clone().send_message(own.client.request(message)).await?;
                }
                Result::Ok(())
            });
        }
        while let Some(written) = writing.join_next().await {
            written??;
        }
        Ok(())
    }

    async fn newest(&self) -> Result<()> {
        let message = ListMessagesRequest {
            sender_id: self.client.id.clone(),
            receiver_id: self.to.clone(),
            page_size: PAGE,
            ..ListMessagesRequest::default()
        };
        let page = self.grpc.clone().list_messages(self.client.request(message)).await?.into_inner();
        if page.messages.len() == PAGE as usize { Ok(()) } else { Err("the page is short".into()) }
    }

    async fn send_by_rest(&self) -> Result<()> {
        self.client.post("/messages", &json!({"receiverId": self.to, "message": TEXT})).await
    }
}

/// Writes an item of the size of a message by the raw SDK, in an unused partition.
async fn put(store: &aws_sdk_dynamodb::Client) -> Result<()> {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let now = format!("{:?}", Instant::now());
    let put = store
        .put_item()
        .table_name(TABLE)
        .item("pk", text("BENCH#01933b5e-7a4c-7def-8abc-0123456789ab"))
        .item("sk", text(&format!("MESSAGE#{now}")))
        .item("content", AttributeValue::B(vec![7; TEXT.len() + 40].into()))
        .item("sent_at", text("2026-01-01T00:00:00.000000Z"));
    put.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await?;
    Ok(())
}

/// Measures the delivery of messages that a therapist sends to one client after the other while all of them watch.
async fn watched(mesh: &Mesh, http: &reqwest::Client, noor: &Account, time: Duration) -> Result<Times> {
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut watchers = JoinSet::new();
    let mut clients = Vec::new();
    for first in (0..WATCHERS).step_by(JOINING) {
        let joining = (first..(first + JOINING).min(WATCHERS)).map(|number| async move {
            let client = Account::join(mesh, http, &format!("watcher.{number}"), "CLIENT").await?;
            client.create_client_profile().await?;
            client.post("/messages", &json!({"receiverId": noor.id, "message": TEXT})).await?;
            let stream = client.watch(&format!("/messages/watch?peerId={}", noor.id)).await?;
            Result::Ok((client.id, stream))
        });
        for joined in futures_util::future::try_join_all(joining).await? {
            let (id, mut stream) = joined;
            let tell = tell.clone();
            clients.push(id);
            watchers.spawn(async move {
                while let Ok(Some(chunk)) = stream.chunk().await {
                    if chunk.starts_with(b"id:") && tell.send(Instant::now()).is_err() {
                        return;
                    }
                }
            });
        }
    }
    let mut seen = times()?;
    let started = Instant::now();
    for client in clients.iter().cycle() {
        if started.elapsed() > time {
            break;
        }
        noor.post("/messages", &json!({"receiverId": client, "message": TEXT})).await?;
        let acknowledged = Instant::now();
        let arrived = tokio::time::timeout(Duration::from_secs(10), told.recv()).await?;
        let late = arrived.ok_or("nobody watches")?.saturating_duration_since(acknowledged);
        seen.record(u64::try_from(late.as_micros())?)?;
    }
    Ok(seen)
}

/// A therapist who offers a session each hour of some days.
struct Offer {
    therapist: Account,
    grpc: SessionServiceClient<Channel>,
    days: u32,
}

impl Offer {
    async fn new(
        mesh: &Mesh,
        http: &reqwest::Client,
        name: &str,
        grpc: &SessionServiceClient<Channel>,
        days: u32,
    ) -> Result<Self> {
        let therapist = Account::join(mesh, http, &format!("{name}.offer"), "THERAPIST").await?;
        therapist.create_profile("Omar Said").await?;
        let mut writing = JoinSet::new();
        for writer in 0..WRITERS {
            let (therapist, grpc) = (therapist.clone(), grpc.clone());
            writing.spawn(async move {
                for day in (writer..days).step_by(WRITERS as usize) {
                    for hour in 0..23 {
                        let session = Session {
                            session_date: Some(date(day)),
                            start_time: Some(format!("{hour:02}:00")),
                            end_time: Some(format!("{hour:02}:50")),
                            ..Session::default()
                        };
                        let create = CreateSessionRequest { session: Some(session) };
                        grpc.clone().create_session(therapist.request(create)).await?;
                    }
                }
                Result::Ok(())
            });
        }
        while let Some(written) = writing.join_next().await {
            written??;
        }
        Ok(Self { therapist, grpc: grpc.clone(), days })
    }

    /// Lists the free slots of the offer's last week as a client.
    async fn last_week(&self, client: &Account) -> Result<()> {
        let instant = |day| date(day).parse().map(Some);
        let message = ListSessionsRequest {
            therapist_id: self.therapist.id.clone(),
            status: SessionStatus::Available.into(),
            after_date: instant(self.days - WEEK)?,
            before_date: instant(self.days)?,
            page_size: 200,
            ..ListSessionsRequest::default()
        };
        let page = self.grpc.clone().list_sessions(client.request(message)).await?.into_inner();
        if page.sessions.len() == 23 * WEEK as usize { Ok(()) } else { Err("the week is not whole".into()) }
    }
}

/// Returns midnight of a day of the offer, in a year far in the future.
fn date(day: u32) -> String {
    format!("{}-{:02}-{:02}T00:00:00Z", 2090 + day / 336, day % 336 / 28 + 1, day % 28 + 1)
}

//! Who writes: one task for each conversation in which somebody is writing, so that the messages of a process queue up for
//! their positions instead of racing for them. What waits is stored by one transaction.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chassis::Platform;
use dynamo::Claim;
use dynamo::seal::SealingKey;
use kernel::{Error, Kind, Result, Timestamp};
use opentelemetry::trace::FutureExt as _;
use retry::Policy;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::append::{Appended, Batch, New, Tail};
use crate::hub::Hub;
use crate::model::{MessageId, Pair, Text};
use crate::policy::Member;
use crate::store::Store;

/// How many messages of a conversation wait to be stored at most.
const QUEUE: usize = 1024;
/// How many messages are stored at a time: with their keys, 65 of the 100 writes that a transaction takes, and 1.3 MB of its 4.
const MOST_AT_ONCE: usize = 32;
/// How long a task waits for another message before it ends.
const IDLE: Duration = Duration::from_secs(30);

/// A message that waits to be stored.
pub(crate) struct Job {
    pub(crate) permit: Member,
    pub(crate) text: Text,
    /// The client's key.
    pub(crate) key: SealingKey,
    /// The request's idempotency key, and its claim on it.
    pub(crate) claim: Option<(String, Claim)>,
    /// From when on the message must not be stored any more: its sender has given up.
    pub(crate) deadline: Instant,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    New(MessageId),
    /// The same request has made this one before.
    Before(MessageId),
}

/// A job, and who waits for it.
struct Waiting {
    job: Job,
    answer: oneshot::Sender<Result<Stored>>,
    /// The trace of the request, in which the write shows: of several, in that of the first.
    trace: opentelemetry::Context,
}

/// The tasks that write. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Writers(Arc<Shared>);

struct Shared {
    store: Arc<Store>,
    hub: Hub,
    platform: Platform,
    /// Messages are handed over, and tasks end, under this lock alone: so none is handed to a task that has ended.
    tasks: Mutex<HashMap<Pair, mpsc::Sender<Waiting>>>,
    idle: Duration,
}

impl Writers {
    pub(crate) fn new(store: Arc<Store>, hub: Hub, platform: Platform) -> Self {
        Self::idling(store, hub, platform, IDLE)
    }

    pub(crate) fn idling(store: Arc<Store>, hub: Hub, platform: Platform, idle: Duration) -> Self {
        Self(Arc::new(Shared { store, hub, platform, tasks: Mutex::default(), idle }))
    }

    /// Stores a message after all that are stored. Not stored, if its sender gives up on this before the write begins.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED (`TOO_MANY_MESSAGES`) when too many wait; ALREADY_EXISTS (`IDEMPOTENCY_KEY_REUSED`); UNAVAILABLE or
    /// INTERNAL, and then nobody knows whether it is stored.
    pub(crate) async fn append(&self, job: Job) -> Result<Stored> {
        let (answer, answered) = oneshot::channel();
        self.hand_over(Waiting { job, answer, trace: opentelemetry::Context::current() })?;
        answered.await.unwrap_or_else(|_| Err(Error::unavailable("the task that stores a message has ended")))
    }

    /// How many tasks there are.
    #[cfg(test)]
    pub(crate) fn tasks(&self) -> usize {
        self.0.tasks().len()
    }

    /// Whether there is no room for another message of a conversation.
    #[cfg(test)]
    pub(crate) fn refused(&self, pair: Pair) -> bool {
        self.0.tasks().get(&pair).is_some_and(|task| task.capacity() == 0)
    }

    fn hand_over(&self, waiting: Waiting) -> Result<()> {
        let pair = waiting.job.permit.pair();
        let mut tasks = self.0.tasks();
        let waiting = match tasks.get(&pair) {
            None => waiting,
            Some(task) => match task.try_send(waiting) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::TrySendError::Full(_)) => return Err(too_many()),
                // The task was stopped.
                Err(mpsc::error::TrySendError::Closed(waiting)) => waiting,
            },
        };
        let (task, queue) = mpsc::channel(QUEUE);
        task.try_send(waiting).map_err(|_| too_many())?;
        tasks.insert(pair, task);
        self.0.platform.tasks.spawn(Arc::clone(&self.0).run(pair, queue));
        Ok(())
    }
}

impl Shared {
    fn tasks(&self) -> MutexGuard<'_, HashMap<Pair, mpsc::Sender<Waiting>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores what waits, until nothing has come for a while. It remembers where the conversation ends: who goes on writing
    /// costs no read.
    async fn run(self: Arc<Self>, pair: Pair, mut queue: mpsc::Receiver<Waiting>) {
        let (mut waiting, mut tail) = (VecDeque::new(), None);
        loop {
            if waiting.is_empty() {
                match tokio::time::timeout(self.idle, queue.recv()).await {
                    Ok(Some(next)) => waiting.push_back(next),
                    Ok(None) => return,
                    Err(_) if self.retire(pair, &queue) => return,
                    Err(_) => continue,
                }
            }
            while waiting.len() < MOST_AT_ONCE
                && let Ok(next) = queue.try_recv()
            {
                waiting.push_back(next);
            }
            let batch = take(&mut waiting);
            let trace = batch.first().map(|first| first.trace.clone()).unwrap_or_default();
            self.write(pair, &mut tail, batch).with_context(trace).await;
        }
    }

    /// Ends a task, unless something was handed to it just now.
    fn retire(&self, pair: Pair, queue: &mpsc::Receiver<Waiting>) -> bool {
        let mut tasks = self.tasks();
        let idle = queue.is_empty();
        if idle {
            tasks.remove(&pair);
        }
        idle
    }

    /// Stores a batch after the tail, and answers who sent it.
    async fn write(&self, pair: Pair, tail: &mut Option<Tail>, mut jobs: Vec<Waiting>) {
        let mut attempts = Policy::OPTIMISTIC.start(&*self.platform.entropy);
        while attempts.next().await {
            jobs.retain(is_wanted);
            if jobs.is_empty() {
                return;
            }
            let from = match tail.take() {
                Some(tail) => Ok(tail),
                None => self.store.tail(pair).await,
            };
            let outcome = match from {
                Ok(from) => self.commit(pair, from, &jobs).await.map(|outcome| (from, outcome)),
                Err(error) => Err(error),
            };
            match outcome {
                Ok((_, (Appended::Done, ids, end))) => {
                    *tail = Some(end);
                    self.hub.tell(pair, end.tally.last);
                    return answer(jobs, ids.into_iter().map(|id| Ok(Stored::New(id))));
                }
                Ok((_, (Appended::Moved, ..))) => {}
                Ok((from, (Appended::Claimed(claimed), ..))) => {
                    *tail = Some(from);
                    // From the last to the first, so that places stay what they are.
                    for (at, made) in claimed.into_iter().rev() {
                        answer([jobs.remove(at)], [made.map(Stored::Before)]);
                    }
                }
                Err(error) => return fail(jobs, &error),
            }
        }
        fail(jobs, &Error::unavailable("others kept writing in the same conversation"));
    }

    /// Adds the messages after a tail. What the store leaves open is found out by doing the very same again.
    async fn commit(&self, pair: Pair, from: Tail, jobs: &[Waiting]) -> Result<(Appended, Vec<MessageId>, Tail)> {
        let batch = self.compose(pair, from, jobs);
        let mut retries = Policy::OPTIMISTIC.start(&*self.platform.entropy);
        loop {
            match self.store.append(&batch).await {
                Err(error)
                    if matches!(error.kind(), Kind::Unavailable | Kind::Aborted)
                        && jobs.iter().any(is_wanted)
                        && retries.next().await => {}
                outcome => {
                    let ids = batch.messages.iter().map(|new| new.id).collect();
                    return outcome.map(|outcome| (outcome, ids, batch.tail()));
                }
            }
        }
    }

    fn compose<'a>(&self, pair: Pair, from: Tail, jobs: &'a [Waiting]) -> Batch<'a> {
        let now = Timestamp::from_millisecond(self.platform.clock.now().as_millisecond()).unwrap_or_default();
        // A clock that went back, or another one, makes no message older than the one before.
        let at = now.max(from.at);
        let mut tally = from.tally;
        let new = |waiting: &'a Waiting| {
            let Job { permit, text, key, claim, deadline: _ } = &waiting.job;
            let sender = permit.side();
            tally = tally.plus(sender);
            let id = MessageId::generate(at, tally.last, &*self.platform.entropy);
            New { id, sender, text, key, claim: claim.as_ref().map(|(_, claim)| claim), tally }
        };
        Batch { pair, from: from.tally, messages: jobs.iter().map(new).collect() }
    }
}

/// What is stored next: as much as fits of what waits, but no two messages that came with one idempotency key. A transaction
/// writes an item once.
fn take(waiting: &mut VecDeque<Waiting>) -> Vec<Waiting> {
    let key = |it: &Waiting| it.job.claim.as_ref().map(|(key, _)| (it.job.permit.side(), key.clone()));
    let mut batch: Vec<Waiting> = Vec::new();
    while let Some(next) = waiting.front()
        && batch.len() < MOST_AT_ONCE
        && !batch.iter().any(|one| key(one).is_some() && key(one) == key(next))
    {
        batch.extend(waiting.pop_front());
    }
    batch
}

fn is_wanted(waiting: &Waiting) -> bool {
    !waiting.answer.is_closed() && Instant::now() < waiting.job.deadline
}

fn answer(jobs: impl IntoIterator<Item = Waiting>, outcomes: impl IntoIterator<Item = Result<Stored>>) {
    for (Waiting { answer, .. }, outcome) in jobs.into_iter().zip(outcomes) {
        // Who has given up in the meantime gets nothing.
        let _ = answer.send(outcome);
    }
}

fn fail(jobs: Vec<Waiting>, error: &Error) {
    let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    let passes = matches!(error.kind(), Kind::Unavailable | Kind::Aborted);
    let told = || if passes { Error::unavailable(cause.clone()) } else { Error::internal(cause.clone()) };
    let outcomes: Vec<_> = jobs.iter().map(|_| Err(told())).collect();
    answer(jobs, outcomes);
}

fn too_many() -> Error {
    let message = "too many messages of this conversation wait to be stored; try again";
    Error::new(Kind::ResourceExhausted, "TOO_MANY_MESSAGES", message).retry_after(Duration::from_secs(1))
}

//! Stores messages by one task for each conversation that is being written to, so that the messages of a process queue
//! for their positions instead of racing for them. Queued messages are stored in batches, by one transaction each.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chassis::Platform;
use dynamo::Claim;
use dynamo::seal::SealingKey;
use kernel::{Error, Kind, Result, STORAGE_FULL, Timestamp};
use opentelemetry::trace::FutureExt as _;
use retry::Policy;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::error::too_many_messages;
use crate::hub::Hub;
use crate::model::{MessageId, Pair, Text};
use crate::policy::Member;
use crate::store::{Appended, Batch, New, Store, Tail};

/// Maximum messages of a conversation waiting to be stored.
const QUEUE: usize = 1024;
/// Maximum messages of a batch: with their keys, 65 of the 100 writes that a transaction takes, and 1.3 MB of its 4.
const MAX_BATCH: usize = 32;
/// Time without messages after which a task ends.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// A message that waits to be stored.
pub(crate) struct Job {
    pub(crate) permit: Member,
    pub(crate) text: Text,
    /// The client's key.
    pub(crate) key: SealingKey,
    /// The request's idempotency key, and its claim on it.
    pub(crate) claim: Option<(String, Claim)>,
    /// Time after which the message must not be stored: its sender has given up.
    pub(crate) deadline: Instant,
}

/// Outcome of storing a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    New(MessageId),
    /// The same request has created this message before.
    Before(MessageId),
}

/// A job with the channel of its answer.
struct Waiting {
    job: Job,
    answer: oneshot::Sender<Result<Stored>>,
    /// Trace of the request. The write of a batch belongs to the trace of its first request.
    trace: opentelemetry::Context,
}

/// The tasks that write. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Writers(Arc<Shared>);

struct Shared {
    store: Arc<Store>,
    hub: Hub,
    platform: Platform,
    /// Messages are enqueued and tasks end only under this lock, so that no message is enqueued to an ended task.
    tasks: Mutex<HashMap<Pair, mpsc::Sender<Waiting>>>,
    idle_timeout: Duration,
}

impl Writers {
    pub(crate) fn new(store: Arc<Store>, hub: Hub, platform: Platform) -> Self {
        Self::with_idle_timeout(store, hub, platform, IDLE_TIMEOUT)
    }

    pub(crate) fn with_idle_timeout(store: Arc<Store>, hub: Hub, platform: Platform, idle_timeout: Duration) -> Self {
        Self(Arc::new(Shared { store, hub, platform, tasks: Mutex::default(), idle_timeout }))
    }

    /// Appends a message to its conversation. It is not stored if its sender gives up before the write begins.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED (`TOO_MANY_MESSAGES`) when too many wait; ALREADY_EXISTS (`IDEMPOTENCY_KEY_REUSED`);
    /// UNAVAILABLE or INTERNAL with an unknown outcome.
    pub(crate) async fn append(&self, job: Job) -> Result<Stored> {
        let (answer, answered) = oneshot::channel();
        self.enqueue(Waiting { job, answer, trace: opentelemetry::Context::current() })?;
        answered.await.unwrap_or_else(|_| Err(Error::unavailable("the task that stores a message has ended")))
    }

    /// Returns the number of tasks.
    #[cfg(test)]
    pub(crate) fn tasks(&self) -> usize {
        self.0.tasks().len()
    }

    /// Returns whether the queue of a conversation is full.
    #[cfg(test)]
    pub(crate) fn is_full(&self, pair: Pair) -> bool {
        self.0.tasks().get(&pair).is_some_and(|task| task.capacity() == 0)
    }

    fn enqueue(&self, waiting: Waiting) -> Result<()> {
        let pair = waiting.job.permit.pair();
        let mut tasks = self.0.tasks();
        let waiting = match tasks.get(&pair) {
            None => waiting,
            Some(task) => match task.try_send(waiting) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::TrySendError::Full(_)) => return Err(too_many_messages()),
                // The task was stopped.
                Err(mpsc::error::TrySendError::Closed(waiting)) => waiting,
            },
        };
        let (task, queue) = mpsc::channel(QUEUE);
        task.try_send(waiting).map_err(|_| too_many_messages())?;
        tasks.insert(pair, task);
        self.0.platform.tasks.spawn(Arc::clone(&self.0).run(pair, queue));
        Ok(())
    }
}

impl Shared {
    fn tasks(&self) -> MutexGuard<'_, HashMap<Pair, mpsc::Sender<Waiting>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores queued messages until none has come for a while. The task caches the end of the conversation, so that
    /// further messages cost no read.
    async fn run(self: Arc<Self>, pair: Pair, mut queue: mpsc::Receiver<Waiting>) {
        let (mut waiting, mut tail) = (VecDeque::new(), None);
        loop {
            if waiting.is_empty() {
                match tokio::time::timeout(self.idle_timeout, queue.recv()).await {
                    Ok(Some(next)) => waiting.push_back(next),
                    Ok(None) => return,
                    Err(_) if self.retire(pair, &queue) => return,
                    Err(_) => continue,
                }
            }
            while waiting.len() < MAX_BATCH
                && let Ok(next) = queue.try_recv()
            {
                waiting.push_back(next);
            }
            let batch = next_batch(&mut waiting);
            let trace = batch.first().map(|first| first.trace.clone()).unwrap_or_default();
            self.write(pair, &mut tail, batch).with_context(trace).await;
        }
    }

    /// Removes an idle task, unless a message was just enqueued. Returns whether it was removed.
    fn retire(&self, pair: Pair, queue: &mpsc::Receiver<Waiting>) -> bool {
        let mut tasks = self.tasks();
        let idle = queue.is_empty();
        if idle {
            tasks.remove(&pair);
        }
        idle
    }

    /// Stores a batch after the tail, and answers its senders.
    async fn write(&self, pair: Pair, tail: &mut Option<Tail>, mut jobs: Vec<Waiting>) {
        // Other replicas write too, and responses get lost.
        let mut attempts = Policy::OPTIMISTIC.start(&*self.platform.entropy);
        while attempts.next().await {
            jobs.retain(is_wanted);
            let Some(permit) = jobs.first().map(|waiting| waiting.job.permit) else { return };
            let from = match tail.take() {
                Some(tail) => Ok(tail),
                None => self.store.tail(permit).await,
            };
            let outcome = match from {
                Ok(from) => self.commit(permit, from, &jobs).await.map(|outcome| (from, outcome)),
                Err(error) => Err(error),
            };
            match outcome {
                Ok((_, (Appended::Done, ids, end))) => {
                    *tail = Some(end);
                    self.hub.publish(pair, end.tally.last);
                    return answer(jobs, ids.into_iter().map(|id| Ok(Stored::New(id))));
                }
                Ok((_, (Appended::Moved, ..))) => {}
                Ok((from, (Appended::Claimed(claimed), ..))) => {
                    *tail = Some(from);
                    // From the last to the first, so that indexes stay valid.
                    for (at, made) in claimed.into_iter().rev() {
                        answer([jobs.remove(at)], [made.map(Stored::Before)]);
                    }
                }
                Err(error) => return fail(jobs, &error),
            }
        }
        fail(jobs, &Error::unavailable("others kept writing in the same conversation"));
    }

    /// Appends the messages after a tail. An unknown outcome is resolved by repeating the same append.
    async fn commit(&self, permit: Member, from: Tail, jobs: &[Waiting]) -> Result<(Appended, Vec<MessageId>, Tail)> {
        let batch = self.compose(permit, from, jobs);
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

    fn compose<'a>(&self, permit: Member, from: Tail, jobs: &'a [Waiting]) -> Batch<'a> {
        let now = Timestamp::from_millisecond(self.platform.clock.now().as_millisecond()).unwrap_or_default();
        // No message is older than the one before, even if this clock is behind.
        let at = now.max(from.at);
        let mut tally = from.tally;
        let new = |waiting: &'a Waiting| {
            let Job { permit, text, key, claim, deadline: _ } = &waiting.job;
            let sender = permit.side();
            tally = tally.plus(sender);
            let id = MessageId::generate(at, tally.last, &*self.platform.entropy);
            New { id, sender, text, key, claim: claim.as_ref().map(|(_, claim)| claim), tally }
        };
        Batch { permit, from: from.tally, messages: jobs.iter().map(new).collect() }
    }
}

/// Takes the next batch from the queue. It has no two messages with one idempotency key, because a transaction writes
/// an item once.
fn next_batch(waiting: &mut VecDeque<Waiting>) -> Vec<Waiting> {
    let key = |it: &Waiting| it.job.claim.as_ref().map(|(key, _)| (it.job.permit.side(), key.clone()));
    let mut batch: Vec<Waiting> = Vec::new();
    while let Some(next) = waiting.front()
        && batch.len() < MAX_BATCH
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
        // A sender that has given up in the meantime gets no answer.
        let _ = answer.send(outcome);
    }
}

fn fail(jobs: Vec<Waiting>, error: &Error) {
    let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    let passes = matches!(error.kind(), Kind::Unavailable | Kind::Aborted);
    let copy = || match error.reason() {
        STORAGE_FULL => Error::storage_full(cause.clone()),
        _ if passes => Error::unavailable(cause.clone()),
        _ => Error::internal(cause.clone()),
    };
    let outcomes: Vec<_> = jobs.iter().map(|_| Err(copy())).collect();
    answer(jobs, outcomes);
}

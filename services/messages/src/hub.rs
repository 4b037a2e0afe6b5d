//! Registers the watchers of this process: notifies them of newer messages, and ends them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kernel::{ClientId, Error, LoginId, Person, Timestamp, UserId};
use tokio::sync::{oneshot, watch};

use crate::error::too_many_watchers;
use crate::model::{Pair, Position};

/// Maximum conversations that an account watches at once.
const MAX_PER_ACCOUNT: usize = 16;

/// The watchers of this process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Hub(Arc<Shared>);

struct Shared {
    watchers: Mutex<Watchers>,
    /// Number of watchers.
    count: watch::Sender<usize>,
    max: usize,
}

#[derive(Default)]
struct Watchers {
    /// Watchers by number.
    all: HashMap<u64, Watcher>,
    threads: HashMap<Pair, Thread>,
    /// Number of watchers of each account.
    accounts: HashMap<UserId, usize>,
    last_number: u64,
}

struct Watcher {
    pair: Pair,
    person: Person,
    expires: Timestamp,
    end: oneshot::Sender<EndReason>,
}

/// A conversation that somebody watches.
struct Thread {
    /// Position of the newest message that is known to this process.
    newest: watch::Sender<Position>,
    watchers: usize,
}

/// Reason to end a watcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndReason {
    /// The access token has expired.
    TokenExpired,
    /// The login of the access token has ended.
    LoginEnded,
    /// The conversation is gone: the client's account has ended.
    Gone,
    /// Auth doesn't answer whether the login has ended.
    Unsure,
}

/// A watcher's slot in the hub. It is freed on drop, or as soon as the watcher is ended: a client that stops reading
/// takes no slot from others.
pub(crate) struct Subscription {
    hub: Hub,
    number: u64,
    /// Position of the newest message that is known to this process.
    pub(crate) newest: watch::Receiver<Position>,
    /// Receiver of the reason when the watcher is ended.
    pub(crate) end: oneshot::Receiver<EndReason>,
}

impl Hub {
    /// Creates a hub for at most `max` watchers.
    pub(crate) fn new(max: usize) -> Self {
        Self(Arc::new(Shared { watchers: Mutex::default(), count: watch::Sender::new(0), max }))
    }

    /// Subscribes a person, whose access token expires at `expires`, to a conversation.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED (`TOO_MANY_WATCHERS`) when the account or the process watches too many conversations.
    pub(crate) fn subscribe(&self, pair: Pair, person: Person, expires: Timestamp) -> Result<Subscription, Error> {
        let mut guard = self.watchers();
        let watchers = &mut *guard;
        let own = watchers.accounts.get(&person.user_id).copied().unwrap_or_default();
        if own >= MAX_PER_ACCOUNT || watchers.all.len() >= self.0.max {
            return Err(too_many_watchers());
        }
        watchers.last_number += 1;
        let number = watchers.last_number;
        let (end, ended) = oneshot::channel();
        watchers.all.insert(number, Watcher { pair, person, expires, end });
        watchers.accounts.insert(person.user_id, own + 1);
        let new = || Thread { newest: watch::Sender::new(Position::default()), watchers: 0 };
        let thread = watchers.threads.entry(pair).or_insert_with(new);
        thread.watchers += 1;
        let newest = thread.newest.subscribe();
        self.0.count.send_replace(watchers.all.len());
        drop(guard);
        Ok(Subscription { hub: self.clone(), number, newest, end: ended })
    }

    /// Publishes the position of the newest message to the watchers of a conversation.
    pub(crate) fn publish(&self, pair: Pair, position: Position) {
        if let Some(thread) = self.watchers().threads.get(&pair) {
            thread.newest.send_if_modified(|newest| {
                let is_newer = *newest < position;
                *newest = position.max(*newest);
                is_newer
            });
        }
    }

    /// Waits until there is a watcher.
    pub(crate) async fn wait_for_watcher(&self) {
        // The channel can't be closed: `self` owns its sender.
        let _ = self.0.count.subscribe().wait_for(|count| *count > 0).await;
    }

    /// Returns the watched conversations, each with the position of its newest message that is known to this process.
    pub(crate) fn threads(&self) -> HashMap<Pair, Position> {
        self.watchers().threads.iter().map(|(pair, thread)| (*pair, *thread.newest.borrow())).collect()
    }

    /// Returns the logins of the watchers.
    pub(crate) fn logins(&self) -> Vec<(UserId, LoginId)> {
        let watchers = self.watchers();
        let logins = watchers.all.values().map(|it| (it.person.user_id, it.person.login_id));
        let mut logins: Vec<_> = logins.collect();
        logins.sort_unstable();
        logins.dedup();
        logins
    }

    /// Ends the watchers whose access token has expired.
    pub(crate) fn end_expired(&self, now: Timestamp) {
        self.end(EndReason::TokenExpired, |watcher| watcher.expires <= now);
    }

    /// Ends the watchers of these logins.
    pub(crate) fn end_logins(&self, ended: &[LoginId]) {
        self.end(EndReason::LoginEnded, |watcher| ended.contains(&watcher.person.login_id));
    }

    /// Ends the watchers of a conversation that is gone.
    pub(crate) fn end_thread(&self, pair: Pair) {
        self.end(EndReason::Gone, |watcher| watcher.pair == pair);
    }

    /// Ends the watchers of a client's conversations.
    pub(crate) fn end_threads_of(&self, client: ClientId) {
        self.end(EndReason::Gone, |watcher| watcher.pair.client == client);
    }

    /// Ends all watchers, because auth doesn't answer which logins have ended.
    pub(crate) fn end_all(&self) {
        self.end(EndReason::Unsure, |_| true);
    }

    fn end(&self, reason: EndReason, is_ended: impl Fn(&Watcher) -> bool) {
        let mut watchers = self.watchers();
        let numbers = watchers.all.iter().filter(|(_, watcher)| is_ended(watcher)).map(|(number, _)| *number);
        for number in numbers.collect::<Vec<_>>() {
            if let Some(watcher) = watchers.remove(number) {
                // A watcher that is gone in the meantime needs no reason.
                let _ = watcher.end.send(reason);
            }
        }
        self.0.count.send_replace(watchers.all.len());
    }

    fn watchers(&self) -> MutexGuard<'_, Watchers> {
        self.0.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watchers {
    fn remove(&mut self, number: u64) -> Option<Watcher> {
        let watcher = self.all.remove(&number)?;
        if let Some(thread) = self.threads.get_mut(&watcher.pair) {
            thread.watchers -= 1;
            if thread.watchers == 0 {
                self.threads.remove(&watcher.pair);
            }
        }
        let account = watcher.person.user_id;
        if let Some(own) = self.accounts.get_mut(&account) {
            *own -= 1;
            if *own == 0 {
                self.accounts.remove(&account);
            }
        }
        Some(watcher)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut watchers = self.hub.watchers();
        watchers.remove(self.number);
        self.hub.0.count.send_replace(watchers.all.len());
    }
}

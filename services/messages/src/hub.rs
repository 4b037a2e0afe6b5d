//! Who watches what: the one place where those who wait for messages learn that there are newer ones, and that they must stop.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kernel::{ClientId, Error, Kind, LoginId, Person, Timestamp, UserId};
use tokio::sync::{oneshot, watch};

use crate::model::{Pair, Position};

/// How many conversations an account watches at once, at most.
const MOST_OF_ACCOUNT: usize = 16;

/// The watchers of this process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Hub(Arc<Shared>);

struct Shared {
    watchers: Mutex<Watchers>,
    /// How many watch.
    count: watch::Sender<usize>,
    most: usize,
}

#[derive(Default)]
struct Watchers {
    /// By their numbers.
    all: HashMap<u64, Watcher>,
    threads: HashMap<Pair, Thread>,
    /// How many there are of each account.
    accounts: HashMap<UserId, usize>,
    last_number: u64,
}

struct Watcher {
    pair: Pair,
    person: Person,
    expires: Timestamp,
    end: oneshot::Sender<Ending>,
}

/// A conversation that somebody watches.
struct Thread {
    /// The position of the newest message, as far as this process has heard.
    newest: watch::Sender<Position>,
    watchers: usize,
}

/// Why a watcher must stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The access token has expired.
    TokenExpired,
    /// The login of the access token has ended.
    LoginEnded,
    /// The conversation is gone: the client's account has ended.
    Gone,
    /// It can't be found out whether the login has ended.
    Unsure,
}

/// A watcher's place in the hub. It is free again when this is dropped, or as soon as the watcher must stop: who doesn't read on
/// keeps nobody out.
pub(crate) struct Subscription {
    hub: Hub,
    number: u64,
    /// The position of the newest message, as far as this process has heard.
    pub(crate) newest: watch::Receiver<Position>,
    /// Why to stop, once that is known.
    pub(crate) end: oneshot::Receiver<Ending>,
}

impl Hub {
    /// A hub for so many watchers.
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Shared { watchers: Mutex::default(), count: watch::Sender::new(0), most }))
    }

    /// A place for somebody whose token expires then.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED (`TOO_MANY_WATCHERS`) when the account, or everybody together, watches too many conversations.
    pub(crate) fn subscribe(&self, pair: Pair, person: Person, expires: Timestamp) -> Result<Subscription, Error> {
        let mut guard = self.watchers();
        let watchers = &mut *guard;
        let own = watchers.accounts.get(&person.user_id).copied().unwrap_or_default();
        if own >= MOST_OF_ACCOUNT || watchers.all.len() >= self.0.most {
            return Err(too_many());
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

    /// Tells who watches a conversation how far it has come.
    pub(crate) fn tell(&self, pair: Pair, position: Position) {
        if let Some(thread) = self.watchers().threads.get(&pair) {
            thread.newest.send_if_modified(|newest| {
                let is_newer = *newest < position;
                *newest = position.max(*newest);
                is_newer
            });
        }
    }

    /// Waits until somebody watches.
    pub(crate) async fn is_watched(&self) {
        // The sender is here: it can't be gone.
        let _ = self.0.count.subscribe().wait_for(|count| *count > 0).await;
    }

    /// The conversations that are watched, and how far they have come as far as this process has heard.
    pub(crate) fn threads(&self) -> HashMap<Pair, Position> {
        self.watchers().threads.iter().map(|(pair, thread)| (*pair, *thread.newest.borrow())).collect()
    }

    /// The logins that watch.
    pub(crate) fn logins(&self) -> Vec<(UserId, LoginId)> {
        let watchers = self.watchers();
        let logins = watchers.all.values().map(|it| (it.person.user_id, it.person.login_id));
        let mut logins: Vec<_> = logins.collect();
        logins.sort_unstable();
        logins.dedup();
        logins
    }

    /// Ends whose access token has expired.
    pub(crate) fn end_expired(&self, now: Timestamp) {
        self.end(Ending::TokenExpired, |watcher| watcher.expires <= now);
    }

    /// Ends those who watch by these logins.
    pub(crate) fn end_logins(&self, ended: &[LoginId]) {
        self.end(Ending::LoginEnded, |watcher| ended.contains(&watcher.person.login_id));
    }

    /// Ends who watches a conversation that is gone.
    pub(crate) fn end_thread(&self, pair: Pair) {
        self.end(Ending::Gone, |watcher| watcher.pair == pair);
    }

    /// Ends who watches the conversations of a client.
    pub(crate) fn end_threads_of(&self, client: ClientId) {
        self.end(Ending::Gone, |watcher| watcher.pair.client == client);
    }

    /// Ends all, because nobody says whose login has ended.
    pub(crate) fn end_all(&self) {
        self.end(Ending::Unsure, |_| true);
    }

    fn end(&self, why: Ending, whose: impl Fn(&Watcher) -> bool) {
        let mut watchers = self.watchers();
        let numbers = watchers.all.iter().filter(|(_, watcher)| whose(watcher)).map(|(number, _)| *number);
        for number in numbers.collect::<Vec<_>>() {
            if let Some(watcher) = watchers.remove(number) {
                // Who has gone away in the meantime needs no reason.
                let _ = watcher.end.send(why);
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

fn too_many() -> Error {
    let message = "too many conversations are watched at once: stop watching one, or try again later";
    Error::new(Kind::ResourceExhausted, "TOO_MANY_WATCHERS", message).retry_after(std::time::Duration::from_secs(5))
}

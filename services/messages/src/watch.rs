//! Watching a conversation: each message once, in order, as it is stored. And what runs behind those who watch.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use chassis::Context;
use kernel::{Clock, Error, Kind, Person, Result, Timestamp};
use logins::Logins;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::time::Instant;

use crate::config::Config;
use crate::hub::{Ending, Hub, Subscription};
use crate::model::{Message, MessageId, Position, Side};
use crate::ops::{Ops, account_ended};
use crate::policy::Member;
use crate::store::{Row, Store};
use crate::wire;

/// How many messages are read at a time: what is held for a reader who is slow.
const PAGE: u16 = 50;
/// How long the reading of a page may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often a page is read that begins with a part of a batch which is just being stored.
const READS: u32 = 10;
/// How long auth may take to say whose login has ended, where the interval is shorter.
const LOGINS: Duration = Duration::from_secs(1);
/// For how many intervals, each at least [`LOGINS`], nobody may know whether a login has ended.
const UNSURE: u32 = 6;

/// Somebody who watches a conversation.
pub(crate) struct Watching {
    ops: Arc<Ops>,
    context: Context,
    permit: Member,
    expires: Timestamp,
    subscription: Subscription,
    /// The last message that was read.
    position: Position,
    /// Whether there may be more than that.
    behind: bool,
    /// What was read and not taken yet.
    page: VecDeque<Message>,
}

impl Ops {
    /// Begins to watch a conversation: from after a message on, or from now on. Every message that is stored after this has
    /// returned will come.
    pub(crate) async fn watch(
        self: &Arc<Self>,
        context: Context,
        permit: Member,
        after: Option<MessageId>,
    ) -> Result<Watching> {
        let person: Person = context.person()?;
        let expires = context.token_expires.ok_or_else(|| Error::internal("a person's token never expires"))?;
        let subscription = self.hub.subscribe(permit.pair(), person, expires)?;
        // Whoever asks again after the end of the login must not be let in for as long as until the next check.
        if !self.logins.ended(&context, &[(person.user_id, person.login_id)]).await?.is_empty() {
            return Err(login_ended());
        }
        let position = match after {
            Some(after) => self.store.row(permit, after).await?.ok_or_else(wire::no_such_after)?.position()?,
            None => self.store.tail(permit.pair()).await?.tally.last,
        };
        let (ops, page, behind) = (Arc::clone(self), VecDeque::new(), after.is_some());
        Ok(Watching { ops, context, permit, expires, subscription, position, behind, page })
    }
}

impl Watching {
    /// The next message, once there is one.
    ///
    /// # Errors
    /// UNAUTHENTICATED (`TOKEN_EXPIRED`, `LOGIN_ENDED`, `ACCOUNT_ENDED`) or NOT_FOUND when it has come to its end;
    /// UNAVAILABLE or INTERNAL.
    pub(crate) async fn next(&mut self) -> Result<Message> {
        loop {
            self.must_not_end()?;
            if let Some(message) = self.page.pop_front() {
                return Ok(message);
            }
            if self.behind {
                self.read().await?;
                continue;
            }
            tokio::select! {
                biased;
                why = &mut self.subscription.end => return Err(self.error(why.unwrap_or(Ending::Unsure))),
                // It fails when the watcher's place is gone, and then it is just being said why.
                changed = self.subscription.newest.changed() => if changed.is_err() {
                    let why = (&mut self.subscription.end).await;
                    return Err(self.error(why.unwrap_or(Ending::Unsure)));
                },
            }
            self.behind = *self.subscription.newest.borrow_and_update() > self.position;
        }
    }

    pub(crate) const fn permit(&self) -> Member {
        self.permit
    }

    fn must_not_end(&mut self) -> Result<()> {
        match self.subscription.end.try_recv() {
            Ok(why) => Err(self.error(why)),
            Err(TryRecvError::Closed) => Err(self.error(Ending::Unsure)),
            Err(TryRecvError::Empty) if self.expires <= self.ops.platform.clock.now() => {
                Err(self.error(Ending::TokenExpired))
            }
            Err(TryRecvError::Empty) => Ok(()),
        }
    }

    /// Reads the page after the position, up to the first gap: a Query may run while a batch is being stored, and see a later
    /// message of it without an earlier one.
    async fn read(&mut self) -> Result<()> {
        let Self { ops, permit, .. } = self;
        for attempt in 0..READS {
            tokio::time::sleep(Duration::from_millis(5) * attempt).await;
            let rows = ops.store.since(*permit, self.position).limit(PAGE).page().await?;
            let rows = rows.parse::<Row>()?;
            if rows.is_empty() {
                if *self.subscription.newest.borrow() <= self.position {
                    self.behind = false;
                    return Ok(());
                }
                // It is known to be there, and not to be seen yet.
                continue;
            }
            let mut last = self.position;
            let mut dense = Vec::with_capacity(rows.len());
            for row in rows {
                let position = row.position()?;
                if position != last.after(1) {
                    break;
                }
                last = position;
                dense.push(row);
            }
            if !dense.is_empty() {
                let context = self.context.renewed(TIMEOUT);
                let Some(key) = ops.key(&context, *permit).await? else { return Err(self.error(Ending::Gone)) };
                for row in dense {
                    self.page.push_back(ops.store.open(*permit, &key, row)?);
                }
                self.position = last;
                return Ok(());
            }
        }
        let context = self.context.renewed(TIMEOUT);
        match self.ops.key(&context, self.permit).await? {
            Some(_) => Err(Error::unavailable("a conversation has gaps, and they don't close")),
            None => Err(self.error(Ending::Gone)),
        }
    }

    fn error(&self, why: Ending) -> Error {
        match (why, self.permit.side()) {
            (Ending::TokenExpired, _) => {
                unauthenticated("TOKEN_EXPIRED", "the access token has expired: use the refresh token to get a new one")
            }
            (Ending::LoginEnded, _) => login_ended(),
            (Ending::Gone, Side::Client) => account_ended(),
            (Ending::Gone, Side::Therapist) => Error::not_found("conversation"),
            (Ending::Unsure, _) => Error::unavailable("nobody says whether the logins of those who watch have ended"),
        }
    }
}

fn login_ended() -> Error {
    unauthenticated("LOGIN_ENDED", "this login has ended: log in again")
}

fn unauthenticated(reason: &'static str, message: &'static str) -> Error {
    Error::new(Kind::Unauthenticated, reason, message)
}

/// Looks at the conversations that are watched, for what other replicas have stored and for tokens that have expired.
pub(crate) async fn look(hub: Hub, store: Arc<Store>, clock: Arc<dyn Clock>, config: Config) {
    loop {
        hub.is_watched().await;
        tokio::time::sleep(config.watch_poll_interval).await;
        hub.end_expired(clock.now());
        if let Err(error) = look_once(&hub, &store).await {
            // Nobody misses anything by this: it is found the next time.
            tracing::warn!(reason = error.reason(), "the conversations that are watched could not be looked at");
        }
    }
}

async fn look_once(hub: &Hub, store: &Store) -> Result<()> {
    let mut threads = hub.threads();
    for head in store.heads(threads.keys().copied()).await? {
        threads.remove(&head.pair());
        hub.tell(head.pair(), head.tally().last);
    }
    // The others have not begun, or are gone, or were not seen just now because this read may lag.
    for (pair, _) in threads.into_iter().filter(|(_, newest)| *newest > Position::default()) {
        if store.head(pair).await?.is_none() {
            hub.end_thread(pair);
        }
    }
    Ok(())
}

/// Asks auth whether the logins of those who watch have ended.
pub(crate) async fn check_logins(hub: Hub, logins: Logins, config: Config) {
    let interval = config.login_check_interval;
    let timeout = interval.max(LOGINS);
    let mut answered = Instant::now();
    loop {
        if hub.logins().is_empty() {
            hub.is_watched().await;
            answered = Instant::now();
        }
        tokio::time::sleep(interval).await;
        match logins.ended(&Context::background(timeout), &hub.logins()).await {
            Ok(ended) => {
                answered = Instant::now();
                hub.end_logins(&ended);
            }
            Err(error) => {
                tracing::warn!(reason = error.reason(), "auth doesn't say whose login has ended");
                if answered.elapsed() >= timeout * UNSURE {
                    hub.end_all();
                }
            }
        }
    }
}

//! Watches a conversation: delivers each message once, in order, as it is stored. Also the background tasks that notify
//! and end watchers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use chassis::Context;
use kernel::{Clock, Error, Person, Result, Timestamp};
use peers::Logins;
use retry::Policy;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::time::Instant;

use crate::config::Config;
use crate::error::{login_ended, no_conversation, no_such_after, token_expired};
use crate::hub::{EndReason, Hub, Subscription};
use crate::model::{Message, MessageId, Position, Side};
use crate::ops::Ops;
use crate::policy::{self, Member};
use crate::store::{Row, Store};

/// Maximum messages of one read, which is what a slow reader holds in memory.
const PAGE: u16 = 50;
/// Timeout of reading a page.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum reads of a page that begins with part of a batch.
const MAX_READS: u32 = 10;
/// Minimum timeout of a login check, for shorter intervals.
const MIN_LOGIN_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum intervals, each at least [`MIN_LOGIN_TIMEOUT`], without an answer about ended logins.
const MAX_UNANSWERED: u32 = 6;

/// Message stream of a watcher.
pub(crate) struct Watching {
    ops: Arc<Ops>,
    context: Context,
    permit: Member,
    expires: Timestamp,
    subscription: Subscription,
    /// Id of the last message before the first that is delivered.
    seen: MessageId,
    /// Position of the last message that was read.
    position: Position,
    /// True if there may be newer messages.
    behind: bool,
    /// Messages that were read and not delivered yet.
    page: VecDeque<Message>,
}

impl Ops {
    /// Starts watching a conversation after a message, or from now on. Every message stored after this returns is
    /// delivered.
    pub(crate) async fn watch(
        self: &Arc<Self>,
        context: Context,
        permit: Member,
        after: Option<MessageId>,
    ) -> Result<Watching> {
        let person: Person = context.person()?;
        let expires = context.token_expires.ok_or_else(|| Error::internal("a person's token never expires"))?;
        let subscription = self.hub.subscribe(permit.pair(), person, expires)?;
        // Without this check, an ended login could watch again until the next interval.
        if !self.logins.ended(&context, &[(person.user_id, person.login_id)]).await?.is_empty() {
            return Err(login_ended());
        }
        let last = match after {
            Some(MessageId::BEFORE_FIRST) => None,
            Some(after) => Some(self.store.row(permit, after).await?.ok_or_else(no_such_after)?),
            None => self.store.last(permit).await?,
        };
        let (seen, position) = match last {
            Some(row) => (row.id()?, row.position()?),
            None => (MessageId::BEFORE_FIRST, Position::default()),
        };
        let (ops, page, behind) = (Arc::clone(self), VecDeque::new(), after.is_some());
        Ok(Watching { ops, context, permit, expires, subscription, seen, position, behind, page })
    }
}

impl Watching {
    /// Waits for the next message.
    ///
    /// # Errors
    /// UNAUTHENTICATED (`TOKEN_EXPIRED`, `LOGIN_ENDED`, `ACCOUNT_ENDED`) or NOT_FOUND when the watcher is ended;
    /// UNAVAILABLE or INTERNAL.
    pub(crate) async fn next(&mut self) -> Result<Message> {
        loop {
            self.check_not_ended()?;
            if let Some(message) = self.page.pop_front() {
                return Ok(message);
            }
            if self.behind {
                self.read().await?;
                continue;
            }
            tokio::select! {
                biased;
                reason = &mut self.subscription.end => return Err(self.error(reason.unwrap_or(EndReason::Unsure))),
                // Fails when the watcher's slot is freed; then the reason is being sent.
                changed = self.subscription.newest.changed() => if changed.is_err() {
                    let reason = (&mut self.subscription.end).await;
                    return Err(self.error(reason.unwrap_or(EndReason::Unsure)));
                },
            }
            self.behind = *self.subscription.newest.borrow_and_update() > self.position;
        }
    }

    pub(crate) const fn permit(&self) -> Member {
        self.permit
    }

    /// Returns the id after which the same messages are watched again.
    pub(crate) const fn seen(&self) -> MessageId {
        self.seen
    }

    fn check_not_ended(&mut self) -> Result<()> {
        match self.subscription.end.try_recv() {
            Ok(reason) => Err(self.error(reason)),
            Err(TryRecvError::Closed) => Err(self.error(EndReason::Unsure)),
            Err(TryRecvError::Empty) if self.expires <= self.ops.platform.clock.now() => {
                Err(self.error(EndReason::TokenExpired))
            }
            Err(TryRecvError::Empty) => Ok(()),
        }
    }

    /// Reads the page after the position, up to the first gap: a Query may run while a batch is being stored, and see a
    /// later message of it without an earlier one.
    async fn read(&mut self) -> Result<()> {
        let Self { ops, permit, .. } = self;
        let mut reads = Policy::OPTIMISTIC.with_attempts(MAX_READS).start(&*ops.platform.entropy);
        while reads.next().await {
            let rows = ops.store.since(*permit, self.position).limit(PAGE).page().await?;
            let rows = rows.parse::<Row>()?;
            if rows.is_empty() {
                if *self.subscription.newest.borrow() <= self.position {
                    self.behind = false;
                    return Ok(());
                }
                // A newer message is known, but not visible to this Query yet.
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
                let Some(key) = ops.key(&context, *permit).await? else { return Err(self.error(EndReason::Gone)) };
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
            None => Err(self.error(EndReason::Gone)),
        }
    }

    fn error(&self, reason: EndReason) -> Error {
        match (reason, self.permit.side()) {
            (EndReason::TokenExpired, _) => token_expired(),
            (EndReason::LoginEnded, _) => login_ended(),
            (EndReason::Gone, Side::Client) => Error::account_ended(),
            (EndReason::Gone, Side::Therapist) => no_conversation(),
            (EndReason::Unsure, _) => {
                Error::unavailable("nobody says whether the logins of those who watch have ended")
            }
        }
    }
}

/// Polls the watched conversations for messages that other replicas have stored, and ends watchers whose tokens have
/// expired.
pub(crate) async fn poll(hub: Hub, store: Arc<Store>, clock: Arc<dyn Clock>, config: Config) {
    loop {
        hub.wait_for_watcher().await;
        tokio::time::sleep(config.watch_poll_interval).await;
        hub.end_expired(clock.now());
        if let Err(error) = poll_once(&hub, &store).await {
            // No message is lost: the next poll finds it.
            tracing::warn!(reason = error.reason(), "the conversations that are watched could not be looked at");
        }
    }
}

async fn poll_once(hub: &Hub, store: &Store) -> Result<()> {
    let (permit, mut threads) = (policy::poll(), hub.threads());
    for head in store.heads(permit, threads.keys().copied()).await? {
        threads.remove(&head.pair());
        hub.publish(head.pair(), head.tally().last);
    }
    // The others have no messages, are gone, or are missing because the read may lag.
    for (pair, _) in threads.into_iter().filter(|(_, newest)| *newest > Position::default()) {
        if store.head(permit, pair).await?.is_none() {
            hub.end_thread(pair);
        }
    }
    Ok(())
}

/// Asks auth repeatedly whether the logins of the watchers have ended.
pub(crate) async fn check_logins(hub: Hub, logins: Logins, config: Config) {
    let interval = config.login_check_interval;
    let timeout = interval.max(MIN_LOGIN_TIMEOUT);
    let mut answered = Instant::now();
    loop {
        if hub.logins().is_empty() {
            hub.wait_for_watcher().await;
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
                if answered.elapsed() >= timeout * MAX_UNANSWERED {
                    hub.end_all();
                }
            }
        }
    }
}

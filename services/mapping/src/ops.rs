//! What can be done with relations.

use std::time::Duration;

use chassis::{Context, Platform};
use dynamo::{Claim, Cursor, Idempotency, PageTokens, Query};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kernel::{Error, Kind, Page, Result, Timestamp, UserId};
use logins::Logins;
use relay::{Mark, Relay};
use tokio::time::Instant;

use crate::invitations::{Answered, Invitation, Invitations};
use crate::list::{self, List, Wanted};
use crate::model::{Change, Channel, Grant, GrantId, Intent, Relation};
use crate::peers::{Clients, Peers, Therapists};
use crate::policy::{Act, AsClient, AsTherapist, Undertaker};
use crate::store::{Living, Store, Written, key};
use crate::transition::{Access, Actor, Mapping, Refusal, State};

/// How often a change is tried against others of the same relation.
const ATTEMPTS: usize = 8;
/// How many relations of an ended account are ended at a time: few, so that it takes nothing from people who wait.
const AT_ONCE: usize = 4;
/// Most time that a client who ends a relation waits for appointments to hear of it. Recovery tells it else.
const PATIENCE: Duration = Duration::from_secs(3);

/// The use cases and what they need.
pub(crate) struct Ops {
    pub(crate) store: Store,
    pub(crate) tokens: PageTokens,
    pub(crate) idempotency: Idempotency,
    pub(crate) logins: Logins,
    pub(crate) peers: Peers,
    pub(crate) invitations: Invitations,
    pub(crate) relay: Relay,
    pub(crate) platform: Platform,
}

/// Which of a client's relations a list shows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shown {
    /// Mapped therapists, if told only those with access or only those without.
    Mapped(Option<bool>),
    /// Those who wait for the client's answer.
    Waiting,
    All,
}

/// What became of contact that somebody makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contacted {
    /// It is noted, now or before: the relation has this version or a later one.
    Recorded(u32),
    /// There is nobody with this id with whom the caller may make contact.
    NoSuchPeer,
    /// The caller's own account has ended.
    CallerEnded,
}

/// What became of what somebody wants to do.
enum Acted {
    Done(Box<Relation>),
    /// There is no relation, and this can't begin one.
    Absent,
    Refused(Refusal),
    /// The account of this person is ended.
    Ended(UserId),
}

/// A request that may be repeated, or an answer that was given before.
type Repeatable<'a> = Option<&'a Claim>;

impl Ops {
    pub(crate) fn now(&self) -> Timestamp {
        self.platform.clock.now()
    }

    /// A client maps a therapist.
    pub(crate) async fn map(&self, context: &Context, permit: Act, claim: Repeatable<'_>) -> Result<Relation> {
        if let Some(relation) = self.replayed(permit, claim).await? {
            return Ok(relation);
        }
        self.peers.must_have_therapist(context, permit.pair().therapist).await?;
        self.act(permit, Intent::Map, claim).await
    }

    /// A therapist asks for a mapping.
    pub(crate) async fn request_mapping(
        &self,
        context: &Context,
        permit: Act,
        claim: Repeatable<'_>,
    ) -> Result<Relation> {
        if let Some(relation) = self.replayed(permit, claim).await? {
            return Ok(relation);
        }
        self.peers.must_have_client(context, permit.pair().client).await?;
        self.act(permit, Intent::RequestMapping, claim).await
    }

    /// A therapist asks for access to the journal.
    pub(crate) async fn request_access(&self, permit: Act, claim: Repeatable<'_>) -> Result<Relation> {
        if let Some(relation) = self.replayed(permit, claim).await? {
            return Ok(relation);
        }
        self.act(permit, Intent::RequestAccess, claim).await
    }

    /// Notes that somebody makes contact with the other side. What was noted before costs one read.
    pub(crate) async fn record_contact(&self, context: &Context, permit: Act, channel: Channel) -> Result<Contacted> {
        let there = match self.store.read_of_living(permit).await? {
            Living::Both(there) => there,
            Living::Ended(user) => return Ok(Contacted::with_ended(permit, user)),
        };
        let noted = there.as_ref().filter(|it| it.is_noted(permit.actor(), channel)).map(|it| it.version);
        let may = match permit.actor() {
            Actor::Client => noted.is_some() || self.peers.has_therapist(context, permit.pair().therapist).await?,
            Actor::Therapist => there.is_some_and(|it| it.is_agreed(self.now())),
            Actor::System => false,
        };
        match noted {
            _ if !may => return Ok(Contacted::NoSuchPeer),
            Some(version) => return Ok(Contacted::Recorded(version)),
            None => {}
        }
        Ok(match self.attempt(permit, Intent::RecordContact(channel), None).await? {
            Acted::Done(relation) => Contacted::Recorded(relation.version),
            Acted::Absent | Acted::Refused(_) => Contacted::NoSuchPeer,
            Acted::Ended(user) => Contacted::with_ended(permit, user),
        })
    }

    /// Ends a mapping, or by the client the whole relation. Appointments is told before the answer, if it can be.
    pub(crate) async fn end(&self, context: &Context, permit: Act) -> Result<Relation> {
        let ended = self.act(permit, Intent::End, None).await?;
        if let Some(event) = ended.event() {
            let rest = context.deadline.saturating_duration_since(Instant::now());
            let context = context.renewed(PATIENCE.min(rest / 2));
            // What could not be told is in the log by now.
            let _later = self.relay.deliver(&context, &key(ended.pair()), event).await;
        }
        Ok(ended)
    }

    /// Does this to a relation, in whatever state it is by the time that it is done.
    ///
    /// # Errors
    /// NOT_FOUND when there is no relation, for what can't begin one; the refusal of the present state; UNAUTHENTICATED
    /// or NOT_FOUND when an account is ended; ABORTED when others keep changing the relation.
    pub(crate) async fn act(&self, permit: Act, intent: Intent, claim: Repeatable<'_>) -> Result<Relation> {
        match self.attempt(permit, intent, claim).await? {
            Acted::Done(relation) => Ok(*relation),
            Acted::Absent => Err(Error::not_found("relation")),
            Acted::Refused(refusal) => Err(refusal.into_error()),
            Acted::Ended(own) if is_own(permit, own) => Err(account_ended()),
            Acted::Ended(_) => Err(Error::not_found(other_side(permit))),
        }
    }

    async fn attempt(&self, permit: Act, intent: Intent, claim: Repeatable<'_>) -> Result<Acted> {
        for _ in 0..ATTEMPTS {
            let now = self.now();
            let (there, invitation) = self.read(permit, intent, now).await?;
            let old = match there {
                Some(there) => there,
                None if intent.begins() || invitation.is_some() => Relation::new(permit.pair(), now),
                None => return Ok(Acted::Absent),
            };
            let grant = || GrantId::generate(&*self.platform.clock, &*self.platform.entropy);
            let answered = match invitation {
                Some(invitation) => invitation.answered(&old, intent, now, &grant),
                None => old.after(permit.actor(), intent, now, grant).map(|changed| changed.map(Answered::from)),
            };
            let mut answered = match answered {
                Ok(Some(answered)) => answered,
                Ok(None) => return Ok(Acted::Done(Box::new(old))),
                // What stands in the way may be the work of this very request, sent twice at once.
                Err(refusal) => {
                    let replayed = self.replayed(permit, claim).await?;
                    return Ok(replayed.map_or(Acted::Refused(refusal), |there| Acted::Done(Box::new(there))));
                }
            };
            if answered.changes.iter().any(Change::closes) {
                answered.relation.mark = Some(Mark::new(&*self.platform.clock, &*self.platform.entropy));
            }
            match self.store.write(permit, &old, &answered, claim).await {
                Ok(Written::Done) => return Ok(Acted::Done(Box::new(answered.relation))),
                Ok(Written::Conflict) => {}
                Ok(Written::Replayed) => return self.there(permit).await.map(Box::new).map(Acted::Done),
                Ok(Written::Ended(user)) => return Ok(Acted::Ended(user)),
                // Whoever is in the way may have decided the matter: that is for the next look to tell.
                Err(error) if error.kind() == Kind::Aborted => {}
                Err(error) => return Err(error),
            }
        }
        let message = "somebody else is changing the same relation right now; repeat the request";
        Err(Error::new(Kind::Aborted, "CONFLICT", message))
    }

    /// The relation and, where the client answers what is asked, the invitation that is a request to the client now.
    async fn read(
        &self,
        permit: Act,
        intent: Intent,
        now: Timestamp,
    ) -> Result<(Option<Relation>, Option<Invitation>)> {
        if permit.actor() != Actor::Client || !intent.answers_request() {
            return Ok((self.store.read(permit).await?, None));
        }
        let (there, invitation) = self.invitations.store.read(permit).await?;
        let open = invitation.filter(|invitation| invitation.is_open(there.as_ref(), now));
        Ok((there, open))
    }

    /// A page of a client's relations.
    pub(crate) async fn of_client(&self, permit: AsClient, shown: Shown, wanted: Wanted<'_>) -> Result<Page<Relation>> {
        let now = self.now();
        let list = List {
            query: self.store.of_client(permit),
            shown: shown.filter().map(|is_shown| move |relation: &Relation| is_shown(relation.at(now))),
            binding: shown.binding(),
            caller: *permit.id().as_bytes(),
        };
        let mut page = list::page(&self.tokens, list, wanted).await?;
        let waiting = matches!(shown, Shown::Waiting);
        self.invitations.keep_open(permit, &mut page.items, waiting, now).await?;
        Ok(page)
    }

    /// A page of a therapist's relations.
    pub(crate) async fn of_therapist(&self, permit: AsTherapist, wanted: Wanted<'_>) -> Result<Page<Relation>> {
        let list = self.therapists_list(permit, None::<fn(&Relation) -> bool>, "related-clients");
        list::page(&self.tokens, list, wanted).await
    }

    /// A page of the relations that the therapist's clients have agreed to.
    ///
    /// Profiles are shown on what it says. So the index only finds them, and what they are is read from the table: one
    /// that has ended is not there any more, though the index may not have heard of it.
    pub(crate) async fn agreed(&self, permit: AsTherapist, wanted: Wanted<'_>) -> Result<Page<Relation>> {
        let now = self.now();
        let list = self.therapists_list(permit, Some(move |it: &Relation| it.is_agreed(now)), "agreed-clients");
        let Page { items, next } = list::page(&self.tokens, list, wanted).await?;
        let found = items.iter().map(|it| permit.towards(it.client_id)).collect();
        let mut items = self.store.read_all(found).await?;
        items.retain(|it| it.is_agreed(self.now()));
        Ok(Page { items, next })
    }

    fn therapists_list<F>(&self, permit: AsTherapist, shown: Option<F>, binding: &'static str) -> List<F> {
        let (query, caller) = (self.store.of_therapist(permit), *permit.id().as_bytes());
        List { query, shown, binding, caller }
    }

    /// The names of the therapists of a page.
    pub(crate) async fn names_of_therapists(&self, context: &Context, page: &Page<Relation>) -> Result<Therapists> {
        self.peers.therapists(context, page.items.iter().map(|relation| relation.therapist_id)).await
    }

    /// The names of those clients of a page whose names the therapist may know.
    pub(crate) async fn names_of_clients(&self, context: &Context, page: &Page<Relation>) -> Result<Clients> {
        let known = page.items.iter().filter(|relation| relation.is_acquainted());
        self.peers.clients(context, known.map(|relation| relation.client_id)).await
    }

    /// The grant on which the therapist may read the client's journal right now.
    pub(crate) async fn journal_access(&self, permit: Act) -> Result<Option<Grant>> {
        Ok(match self.store.read_of_living(permit).await? {
            Living::Both(there) => there.and_then(|relation| relation.grant_at(self.now())),
            Living::Ended(_) => None,
        })
    }

    /// The relation as it is right now.
    pub(crate) async fn relation(&self, permit: Act) -> Result<Option<Relation>> {
        self.store.read(permit).await
    }

    /// Ends every relation of somebody whose account is ended, and lets none begin. Can be repeated, and goes on where
    /// it was interrupted.
    ///
    /// The index of a therapist's relations lags, so it is read until a reading finds nothing left to end. One that began
    /// just before the marker was written can still be missed: its therapist can't log in any more, and its client ends
    /// it.
    pub(crate) async fn bury(&self, permit: Undertaker) -> Result<()> {
        self.store.mark_ended(permit, self.now()).await?;
        while self.end_all(permit).await? {}
        Ok(())
    }

    /// Ends what is found. Answers whether there was anything to end.
    async fn end_all(&self, permit: Undertaker) -> Result<bool> {
        let (mut any, mut after) = (false, None::<Cursor>);
        loop {
            let query: Query = self.store.of_ended(permit);
            let rows = if let Some(after) = after { query.after(after) } else { query }.page().await?;
            after = rows.next.clone();
            let relations = rows.items.into_iter().map(Relation::try_from).collect::<Result<Vec<_>>>()?;
            let theirs =
                relations.into_iter().filter_map(|it| Some((permit.towards(it.pair())?, it.is_by_invitation())));
            let ended = stream::iter(theirs)
                .map(|(act, by_invitation)| self.end_one(act, by_invitation))
                .buffer_unordered(AT_ONCE);
            any |= ended.try_fold(false, |any, one| async move { Ok(any || one) }).await?;
            if after.is_none() {
                return Ok(any);
            }
        }
    }

    async fn end_one(&self, permit: Act, by_invitation: bool) -> Result<bool> {
        if by_invitation {
            return self.invitations.store.drop_request(permit).await.map(|()| true);
        }
        let open = |it: &Relation| matches!(it.at(self.now()).mapping, Mapping::Active | Mapping::Requested);
        if !self.store.read(permit).await?.as_ref().is_some_and(open) {
            return Ok(false);
        }
        self.act(permit, Intent::AccountEnded, None).await.map(|_| true)
    }

    async fn replayed(&self, permit: Act, claim: Repeatable<'_>) -> Result<Option<Relation>> {
        let Some(claim) = claim else { return Ok(None) };
        if claim.replayed().await?.is_some() { self.there(permit).await.map(Some) } else { Ok(None) }
    }

    async fn there(&self, permit: Act) -> Result<Relation> {
        self.store.read(permit).await?.ok_or_else(|| Error::not_found("relation"))
    }
}

impl Contacted {
    /// Contact of two of whom this one's account has ended.
    fn with_ended(permit: Act, user: UserId) -> Self {
        if is_own(permit, user) { Self::CallerEnded } else { Self::NoSuchPeer }
    }
}

impl Shown {
    /// What tells the lists apart. A token of one is none of another.
    const fn binding(self) -> &'static str {
        match self {
            Self::Mapped(None) => "mappings",
            Self::Mapped(Some(true)) => "mappings-with-access",
            Self::Mapped(Some(false)) => "mappings-without-access",
            Self::Waiting => "consent-requests",
            Self::All => "related-therapists",
        }
    }

    fn filter(self) -> Option<impl Fn(State) -> bool> {
        let shows = move |State { mapping, access }: State| match self {
            Self::Mapped(with_access) => {
                let has = access == Access::Accepted;
                mapping == Mapping::Active && with_access.is_none_or(|wanted| wanted == has)
            }
            Self::Waiting => mapping == Mapping::Requested || access == Access::Pending,
            Self::All => true,
        };
        (!matches!(self, Self::All)).then_some(shows)
    }
}

fn is_own(permit: Act, user: UserId) -> bool {
    match permit.actor() {
        Actor::Client => user == permit.pair().client.into(),
        Actor::Therapist => user == permit.pair().therapist.into(),
        Actor::System => false,
    }
}

const fn other_side(permit: Act) -> &'static str {
    match permit.actor() {
        Actor::Client => "therapist",
        Actor::Therapist | Actor::System => "client",
    }
}

fn account_ended() -> Error {
    Error::new(Kind::Unauthenticated, "ACCOUNT_ENDED", "this account has been ended")
}

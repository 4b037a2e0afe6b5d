//! Use cases of relations.

use std::collections::HashMap;
use std::time::Duration;

use chassis::{Context, Platform};
use dynamo::{Claim, Cursor, Idempotency, PageTokens, Query};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kernel::{ClientId, Error, Kind, Page, Result, TherapistId, Timestamp, UserId};
use outbox::{Mark, Outbox};
use peers::{ClientNames, Logins, TherapistName, TherapistNames};
use retry::Policy;
use subscriber::AccountDeletionPermit;
use tokio::time::Instant;

use crate::error;
use crate::invitations::Invitations;
use crate::item::key;
use crate::list::{self, List};
use crate::model::{
    Answered, Change, Channel, ContactOutcome, Grant, GrantId, Intent, Invitation, Relation, Shown, Wanted,
};
use crate::policy::{self, Act, AsClient, AsTherapist};
use crate::store::{ActiveAccounts, Store, Written};
use crate::transition::{Access, Actor, Mapping, Refusal, State};

/// Relations of an ended account that are ended concurrently: few, so that they don't delay requests of people.
const CONCURRENCY: usize = 4;
/// Timeout of delivering the end of a relation to appointments before the client is answered. Recovery delivers it
/// later.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The use cases and their dependencies.
pub(crate) struct Ops {
    pub(crate) store: Store,
    pub(crate) tokens: PageTokens,
    pub(crate) idempotency: Idempotency,
    pub(crate) logins: Logins,
    pub(crate) clients: ClientNames,
    pub(crate) therapists: TherapistNames,
    pub(crate) invitations: Invitations,
    pub(crate) outbox: Outbox,
    pub(crate) platform: Platform,
}

/// Outcome of an action on a relation.
enum ActionOutcome {
    Done(Box<Relation>),
    /// There is no relation, and the action can't begin one.
    Absent,
    Refused(Refusal),
    /// The account of this person is ended.
    Ended(UserId),
}

/// Claim of a request that brought an idempotency key.
type IdempotencyClaim<'a> = Option<&'a Claim>;

impl Ops {
    pub(crate) fn now(&self) -> Timestamp {
        self.platform.clock.now()
    }

    /// Maps a therapist for the client.
    pub(crate) async fn map(&self, context: &Context, permit: Act, claim: IdempotencyClaim<'_>) -> Result<Relation> {
        if let Some(relation) = self.replayed(permit, claim).await? {
            return Ok(relation);
        }
        if !self.has_therapist(context, permit.pair().therapist).await? {
            return Err(error::no_therapist());
        }
        self.act(permit, Intent::Map, claim).await
    }

    /// Requests a mapping for the therapist.
    pub(crate) async fn request_mapping(
        &self,
        context: &Context,
        permit: Act,
        claim: IdempotencyClaim<'_>,
    ) -> Result<Relation> {
        if let Some(relation) = self.replayed(permit, claim).await? {
            return Ok(relation);
        }
        let client = permit.pair().client;
        if !self.has_client(context, client).await? {
            return Err(error::no_client());
        }
        self.act(permit, Intent::RequestMapping, claim).await
    }

    /// Requests access to the journal for the therapist.
    pub(crate) async fn request_access(&self, permit: Act, claim: IdempotencyClaim<'_>) -> Result<Relation> {
        if let Some(relation) = self.replayed(permit, claim).await? {
            return Ok(relation);
        }
        self.act(permit, Intent::RequestAccess, claim).await
    }

    /// Records that the caller makes contact with the other side. Contact that is recorded already costs one read. A client
    /// needs a profile to begin a conversation.
    pub(crate) async fn record_contact(
        &self,
        context: &Context,
        permit: Act,
        channel: Channel,
    ) -> Result<ContactOutcome> {
        let there = match self.store.read_with_accounts(permit).await? {
            ActiveAccounts::Both(there) => there,
            ActiveAccounts::Ended(user) => return Ok(ContactOutcome::with_ended(permit, user)),
        };
        let is_in_contact = there.as_ref().is_some_and(|it| it.is_in_contact(channel));
        let recorded = there.as_ref().filter(|it| it.is_recorded(permit.actor(), channel)).map(|it| it.version);
        let may = match permit.actor() {
            Actor::Client => recorded.is_some() || self.has_therapist(context, permit.pair().therapist).await?,
            Actor::Therapist => there.is_some_and(|it| it.is_agreed(self.now())),
            Actor::System => false,
        };
        match recorded {
            _ if !may => return Ok(ContactOutcome::NoSuchPeer),
            Some(version) => return Ok(ContactOutcome::Recorded(version)),
            None => {}
        }
        let needs_profile = permit.actor() == Actor::Client && channel == Channel::Message && !is_in_contact;
        if needs_profile && !self.has_client(context, permit.pair().client).await? {
            return Ok(ContactOutcome::CallerWithoutProfile);
        }
        Ok(match self.attempt(permit, Intent::RecordContact(channel), None).await? {
            ActionOutcome::Done(relation) => ContactOutcome::Recorded(relation.version),
            ActionOutcome::Absent | ActionOutcome::Refused(_) => ContactOutcome::NoSuchPeer,
            ActionOutcome::Ended(user) => ContactOutcome::with_ended(permit, user),
        })
    }

    /// Ends a mapping for the therapist, the whole relation for the client. The event is delivered to appointments
    /// before the answer, if possible.
    pub(crate) async fn end(&self, context: &Context, permit: Act) -> Result<Relation> {
        let ended = self.act(permit, Intent::End, None).await?;
        if let Some(event) = ended.event() {
            let rest = context.deadline.saturating_duration_since(Instant::now());
            let context = context.renewed(TIMEOUT.min(rest / 2));
            // A failed delivery has been logged, and is repeated by recovery.
            let _later = self.outbox.deliver(&context, &key(ended.pair()), event).await;
        }
        Ok(ended)
    }

    /// Applies an intent to a relation in the state at the time of the write.
    ///
    /// # Errors
    /// NOT_FOUND when there is no relation, for what can't begin one; the refusal of the present state; UNAUTHENTICATED
    /// or NOT_FOUND when an account is ended; ABORTED when others keep changing the relation.
    pub(crate) async fn act(&self, permit: Act, intent: Intent, claim: IdempotencyClaim<'_>) -> Result<Relation> {
        match self.attempt(permit, intent, claim).await? {
            ActionOutcome::Done(relation) => Ok(*relation),
            ActionOutcome::Absent => Err(error::no_relation()),
            ActionOutcome::Refused(refusal) => Err(refusal.into_error()),
            ActionOutcome::Ended(own) if is_own(permit, own) => Err(Error::account_ended()),
            ActionOutcome::Ended(_) => Err(no_peer(permit)),
        }
    }

    async fn attempt(&self, permit: Act, intent: Intent, claim: IdempotencyClaim<'_>) -> Result<ActionOutcome> {
        let mut attempts = Policy::OPTIMISTIC.start(&*self.platform.entropy);
        while attempts.next().await {
            let now = self.now();
            let (there, invitation) = self.read(permit, intent, now).await?;
            let old = match there {
                Some(there) => there,
                None if intent.begins() || invitation.is_some() => Relation::new(permit.pair(), now),
                None => return Ok(ActionOutcome::Absent),
            };
            let grant = || GrantId::generate(&*self.platform.clock, &*self.platform.entropy);
            let answered = match invitation {
                Some(invitation) => invitation.answered(&old, intent, now, &grant),
                None => old.after(permit.actor(), intent, now, grant).map(|changed| changed.map(Answered::from)),
            };
            let mut answered = match answered {
                Ok(Some(answered)) => answered,
                Ok(None) => return Ok(ActionOutcome::Done(Box::new(old))),
                // The conflicting state may be the result of this request, sent twice concurrently.
                Err(refusal) => {
                    let replayed = self.replayed(permit, claim).await?;
                    return Ok(replayed
                        .map_or(ActionOutcome::Refused(refusal), |relation| ActionOutcome::Done(Box::new(relation))));
                }
            };
            if answered.changes.iter().any(Change::closes) {
                answered.relation.mark = Some(Mark::new(&*self.platform.clock, &*self.platform.entropy));
            }
            match self.store.write(permit, &old, &answered, claim).await {
                Ok(Written::Done) => return Ok(ActionOutcome::Done(Box::new(answered.relation))),
                Ok(Written::Conflict) => {}
                Ok(Written::Replayed) => return self.stored(permit).await.map(Box::new).map(ActionOutcome::Done),
                Ok(Written::Ended(user)) => return Ok(ActionOutcome::Ended(user)),
                // The concurrent change may have decided the outcome: the next attempt reads it.
                Err(error) if error.kind() == Kind::Aborted => {}
                Err(error) => return Err(error),
            }
        }
        Err(error::contended())
    }

    /// Returns the relation and, if the client answers a mapping request, the invitation that is a request now.
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

    /// Returns a page of a client's relations.
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

    /// Returns a page of a therapist's relations.
    pub(crate) async fn of_therapist(&self, permit: AsTherapist, wanted: Wanted<'_>) -> Result<Page<Relation>> {
        let list = self.therapists_list(permit, None::<fn(&Relation) -> bool>, "related-clients");
        list::page(&self.tokens, list, wanted).await
    }

    /// Returns a page of the relations that the therapist's clients have agreed to.
    ///
    /// Other services show profiles based on the result. So the index only finds the relations, and their states are
    /// read from the table: the index lags, and may still list a relation that has ended.
    pub(crate) async fn agreed(&self, permit: AsTherapist, wanted: Wanted<'_>) -> Result<Page<Relation>> {
        let now = self.now();
        let list = self.therapists_list(permit, Some(move |it: &Relation| it.is_agreed(now)), "agreed-clients");
        let Page { items, next } = list::page(&self.tokens, list, wanted).await?;
        Ok(Page { items: self.still_agreed(permit, &items).await?, next })
    }

    /// Returns those of these relations that their clients agree to, read consistently.
    pub(crate) async fn still_agreed(&self, permit: AsTherapist, found: &[Relation]) -> Result<Vec<Relation>> {
        let permits: Vec<_> = found.iter().map(|it| permit.towards(it.client_id)).collect();
        let mut relations = self.store.read_all(&permits).await?;
        relations.retain(|it| it.is_agreed(self.now()));
        Ok(relations)
    }

    fn therapists_list<F>(&self, permit: AsTherapist, shown: Option<F>, binding: &'static str) -> List<F> {
        let (query, caller) = (self.store.of_therapist(permit), *permit.id().as_bytes());
        List { query, shown, binding, caller }
    }

    /// Returns the names of the therapists of a page.
    pub(crate) async fn names_of_therapists(
        &self,
        context: &Context,
        page: &Page<Relation>,
    ) -> Result<HashMap<TherapistId, TherapistName>> {
        self.therapists.of(context, page.items.iter().map(|relation| relation.therapist_id)).await
    }

    /// Returns the names of those clients of a page whose names the therapist may see.
    pub(crate) async fn names_of_clients(
        &self,
        context: &Context,
        page: &Page<Relation>,
    ) -> Result<HashMap<ClientId, String>> {
        let visible = page.items.iter().filter(|relation| relation.may_see_client_name());
        self.clients.of(context, visible.map(|relation| relation.client_id)).await
    }

    /// Returns whether a client with this id has a profile.
    async fn has_client(&self, context: &Context, id: ClientId) -> Result<bool> {
        Ok(self.clients.of(context, [id]).await?.contains_key(&id))
    }

    /// Returns whether a therapist with this id has a profile.
    async fn has_therapist(&self, context: &Context, id: TherapistId) -> Result<bool> {
        Ok(self.therapists.of(context, [id]).await?.contains_key(&id))
    }

    /// Returns the grant by which the therapist may read the client's journal now.
    pub(crate) async fn journal_access(&self, permit: Act) -> Result<Option<Grant>> {
        Ok(self.journal_grants(&[permit]).await?.pop().map(|(_, grant)| grant))
    }

    /// Returns the grants by which therapists may read the journals of these relations now, in the order of the clients'
    /// ids.
    pub(crate) async fn journal_grants(&self, permits: &[Act]) -> Result<Vec<(ClientId, Grant)>> {
        let relations = self.store.read_all_with_accounts(permits).await?;
        let now = self.now();
        Ok(relations.iter().filter_map(|it| Some((it.client_id, it.grant_at(now)?))).collect())
    }

    /// Returns the relation, read consistently.
    pub(crate) async fn relation(&self, permit: Act) -> Result<Option<Relation>> {
        self.store.read(permit).await
    }

    /// Ends every relation of an ended account, and prevents new ones. Idempotent: a repetition resumes after an
    /// interruption.
    ///
    /// The index of a therapist's relations lags, so it is read until it lists nothing left to end. A relation that
    /// began just before the marker was written can still be missed: its therapist can't log in any more, and its
    /// client ends it.
    pub(crate) async fn handle_account_deleted(&self, permit: AccountDeletionPermit) -> Result<()> {
        self.store.mark_ended(permit, self.now()).await?;
        while self.end_all(permit).await? {}
        Ok(())
    }

    /// Ends the relations that the query finds. Returns whether any was left to end.
    async fn end_all(&self, permit: AccountDeletionPermit) -> Result<bool> {
        let (mut any, mut after) = (false, None::<Cursor>);
        loop {
            let query: Query = self.store.of_ended(permit);
            let rows = if let Some(after) = after { query.after(after) } else { query }.page().await?;
            after = rows.next.clone();
            let relations = rows.items.into_iter().map(Relation::try_from).collect::<Result<Vec<_>>>()?;
            let theirs =
                relations.into_iter().filter_map(|it| Some((policy::ended(permit, it.pair())?, it.is_by_invitation())));
            let ended = stream::iter(theirs)
                .map(|(act, by_invitation)| self.end_one(act, by_invitation))
                .buffer_unordered(CONCURRENCY);
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

    async fn replayed(&self, permit: Act, claim: IdempotencyClaim<'_>) -> Result<Option<Relation>> {
        match Idempotency::replayed::<TherapistId>(claim).await? {
            Some(_) => self.stored(permit).await.map(Some),
            None => Ok(None),
        }
    }

    async fn stored(&self, permit: Act) -> Result<Relation> {
        self.store.read(permit).await?.ok_or_else(error::no_relation)
    }
}

impl ContactOutcome {
    /// Returns the outcome for a pair in which this user's account has ended.
    fn with_ended(permit: Act, user: UserId) -> Self {
        if is_own(permit, user) { Self::CallerEnded } else { Self::NoSuchPeer }
    }
}

impl Shown {
    /// Returns the binding of page tokens: a token of one list is invalid for another.
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

/// Returns the error for a person on the other side whose account has ended.
fn no_peer(permit: Act) -> Error {
    match permit.actor() {
        Actor::Client => error::no_therapist(),
        Actor::Therapist | Actor::System => error::no_client(),
    }
}

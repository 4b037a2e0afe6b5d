//! Domain model of a relation: its state, its changes and the intents that lead to them.

mod invitation;

use std::time::Duration;

use kernel::{ClientId, Clock, Entropy, PageSize, TherapistId, Timestamp, UserId, UtcDateTime, uuid_v7};
use outbox::Mark;
use proto::events::v1::event::Kind;
use proto::events::v1::{Event, RelationEnded};
use serde::{Deserialize, Serialize};

pub(crate) use self::invitation::{Answered, Invitation, InvitedTo};
use crate::rejections::Rejections;
use crate::transition::{Access, Action, Actor, Asked, Mapping, Refusal, State, Step, step};

/// Lifetime of a request that nobody answers.
pub(crate) const REQUEST_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The client and the therapist of a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) client: ClientId,
    pub(crate) therapist: TherapistId,
}

impl Pair {
    /// Returns the ids of both accounts.
    pub(crate) fn people(self) -> [UserId; 2] {
        [self.client.into(), self.therapist.into()]
    }
}

/// Limits of a grant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limits {
    /// Entries whose emotion was felt at or after this instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) entries_from: Option<UtcDateTime>,
    /// The grant ends by itself at this instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<UtcDateTime>,
}

/// The id of a grant (UUIDv7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GrantId(uuid::Uuid);

impl GrantId {
    pub(crate) fn generate(clock: &dyn Clock, entropy: &dyn Entropy) -> Self {
        Self(uuid_v7(clock.now(), entropy))
    }
}

impl std::fmt::Display for GrantId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The client's permission to read the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) id: GrantId,
    #[serde(flatten)]
    pub(crate) limits: Limits,
}

/// Channel by which contact was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Channel {
    Message,
    Appointment,
}

/// First contact of one side by a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contact {
    pub(crate) by: Actor,
    pub(crate) channel: Channel,
    pub(crate) at: Timestamp,
}

/// Action that a side wants to take, with its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intent {
    Map,
    RequestMapping,
    Accept,
    Reject,
    End,
    RequestAccess,
    Grant(Limits),
    RejectAccess,
    RevokeAccess,
    RecordContact(Channel),
    AccountEnded,
}

/// Filter of a list of a client's relations.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shown {
    /// Mapped therapists: all, only those with access, or only those without.
    Mapped(Option<bool>),
    /// Therapists whose request is pending.
    Waiting,
    All,
}

/// Outcome of recording contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContactOutcome {
    /// Recorded, now or before: the relation has this version or a later one.
    Recorded(u32),
    /// No person with this id whom the caller may contact.
    NoSuchPeer,
    /// The caller's own account has ended.
    CallerEnded,
    /// The caller is a client without a profile.
    CallerWithoutProfile,
}

/// Requested page of a list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) size: PageSize,
    /// Page token; empty for the first page.
    pub(crate) token: &'a str,
}

impl Intent {
    pub(crate) const fn action(self) -> Action {
        match self {
            Self::Map => Action::Map,
            Self::RequestMapping => Action::RequestMapping,
            Self::Accept => Action::Accept,
            Self::Reject => Action::Reject,
            Self::End => Action::End,
            Self::RequestAccess => Action::RequestAccess,
            Self::Grant(_) => Action::Grant,
            Self::RejectAccess => Action::RejectAccess,
            Self::RevokeAccess => Action::RevokeAccess,
            Self::RecordContact(_) => Action::RecordContact,
            Self::AccountEnded => Action::AccountEnded,
        }
    }

    /// Returns the subject of the therapist's request, if the intent is one.
    const fn asks(self) -> Option<Asked> {
        match self {
            Self::RequestMapping => Some(Asked::Mapping),
            Self::RequestAccess => Some(Asked::JournalAccess),
            Self::Map
            | Self::Accept
            | Self::Reject
            | Self::End
            | Self::Grant(_)
            | Self::RejectAccess
            | Self::RevokeAccess
            | Self::RecordContact(_)
            | Self::AccountEnded => None,
        }
    }

    /// Returns whether the intent answers a pending mapping request when the client has it.
    pub(crate) const fn answers_request(self) -> bool {
        matches!(self, Self::Map | Self::Accept | Self::Reject | Self::End)
    }

    /// Returns whether the intent can begin a relation.
    pub(crate) const fn begins(self) -> bool {
        matches!(self, Self::Map | Self::RequestMapping | Self::RecordContact(_))
    }
}

/// The relation of a client and a therapist.
///
/// The states are as they were last written: [`Relation::at`] returns the states at an instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Relation {
    pub(crate) client_id: ClientId,
    pub(crate) therapist_id: TherapistId,
    pub(crate) mapping: Mapping,
    pub(crate) mapping_since: Timestamp,
    pub(crate) access: Access,
    pub(crate) access_since: Timestamp,
    /// Present exactly while access is ACCEPTED.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) grant: Option<Grant>,
    /// True if the two were ever mapped.
    pub(crate) was_mapped: bool,
    /// Contact since the client last ended the relation.
    pub(crate) contacts: Vec<Contact>,
    /// True if the client made contact before ending the relation.
    #[serde(default)]
    pub(crate) was_contacted: bool,
    /// True if the client has ended the relation, and has neither made contact nor mapped the therapist since.
    #[serde(default)]
    pub(crate) is_closed: bool,
    /// Version that the client's last ending of the relation made; 0 without one.
    #[serde(default)]
    pub(crate) closed_version: u32,
    /// Mapping requests that the client has rejected.
    #[serde(default)]
    pub(crate) mapping_rejections: Rejections,
    /// Requests for journal access that the client has rejected.
    #[serde(default)]
    pub(crate) access_rejections: Rejections,
    /// Number of changes; 0 if the relation is not stored.
    pub(crate) version: u32,
    /// Mark of the event of the client's last ending, while it is pending.
    #[serde(skip)]
    pub(crate) mark: Option<Mark>,
}

/// One change of a relation, as the consent history stores it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) actor: Actor,
    pub(crate) action: Action,
    pub(crate) before: State,
    pub(crate) after: State,
    /// The grant after the change, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) grant: Option<Grant>,
    /// Channel of the contact, if the change recorded one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) channel: Option<Channel>,
    pub(crate) time: Timestamp,
}

impl Change {
    /// Returns whether the client ends the relation by this change.
    pub(crate) fn closes(&self) -> bool {
        self.actor == Actor::Client && self.action == Action::End
    }
}

impl Relation {
    /// Creates the relation of two who never had one.
    pub(crate) const fn new(pair: Pair, now: Timestamp) -> Self {
        Self {
            client_id: pair.client,
            therapist_id: pair.therapist,
            mapping: Mapping::None,
            mapping_since: now,
            access: Access::None,
            access_since: now,
            grant: None,
            was_mapped: false,
            contacts: Vec::new(),
            was_contacted: false,
            is_closed: false,
            closed_version: 0,
            mapping_rejections: Rejections::NONE,
            access_rejections: Rejections::NONE,
            version: 0,
            mark: None,
        }
    }

    pub(crate) const fn pair(&self) -> Pair {
        Pair { client: self.client_id, therapist: self.therapist_id }
    }

    /// Returns whether this is a request by invitation, which is not stored as a relation.
    pub(crate) const fn is_by_invitation(&self) -> bool {
        self.version == 0
    }

    /// Returns the states at an instant: requests and grants expire without a write.
    pub(crate) fn at(&self, now: Timestamp) -> State {
        let request_is_over = |since: Timestamp| request_ends(since) <= now;
        let is_over = |end: UtcDateTime| end <= now.into();
        let asked = self.mapping == Mapping::Requested;
        let mapping = if asked && request_is_over(self.mapping_since) { Mapping::Expired } else { self.mapping };
        let access_is_over = match self.access {
            Access::Pending => request_is_over(self.access_since),
            Access::Accepted => self.grant.and_then(|grant| grant.limits.expires_at).is_some_and(is_over),
            Access::None | Access::Rejected | Access::Expired | Access::Revoked => false,
        };
        let access = if access_is_over { Access::Expired } else { self.access };
        State { mapping, access }
    }

    /// Returns the grant by which the therapist may read at an instant.
    pub(crate) fn grant_at(&self, now: Timestamp) -> Option<Grant> {
        let open = State { mapping: Mapping::Active, access: Access::Accepted };
        self.grant.filter(|_| self.at(now) == open)
    }

    /// Returns whether the client has agreed to be related: is mapped, or has made contact.
    pub(crate) fn is_agreed(&self, now: Timestamp) -> bool {
        self.is_mapped(now) || self.has_contact_by_client()
    }

    /// Returns the time since which the client has agreed to be related: the earliest that the relation keeps. `None` if
    /// the client hasn't agreed.
    ///
    /// These times are kept: the beginning of the present mapping, and for each channel the client's first contact since
    /// the client last ended the relation.
    pub(crate) fn agreed_since(&self, now: Timestamp) -> Option<Timestamp> {
        let mapped = self.is_mapped(now).then_some(self.mapping_since);
        let contacts = self.contacts.iter().filter(|contact| contact.by == Actor::Client).map(|contact| contact.at);
        mapped.into_iter().chain(contacts).min()
    }

    pub(crate) fn is_mapped(&self, now: Timestamp) -> bool {
        self.at(now).mapping == Mapping::Active
    }

    /// Returns whether the therapist may see the client's name: the client agrees to be related, or did before.
    pub(crate) fn may_see_client_name(&self) -> bool {
        self.was_mapped || self.was_contacted || self.has_contact_by_client()
    }

    /// Returns whether contact of this side by this channel is recorded, and recording it again would change nothing.
    pub(crate) fn is_recorded(&self, by: Actor, channel: Channel) -> bool {
        self.has_contact(by, channel) && !(by == Actor::Client && self.has_rejections())
    }

    /// Returns whether either side has made contact by this channel.
    pub(crate) fn is_in_contact(&self, channel: Channel) -> bool {
        self.contacts.iter().any(|contact| contact.channel == channel)
    }

    fn has_contact(&self, by: Actor, channel: Channel) -> bool {
        self.contacts.iter().any(|contact| contact.by == by && contact.channel == channel)
    }

    const fn has_rejections(&self) -> bool {
        self.mapping_rejections.any() || self.access_rejections.any()
    }

    /// Checks whether the client's earlier answers and endings allow the therapist this request now.
    ///
    /// # Errors
    /// The refusal, once the client has ended the relation, or has rejected the same a short time ago or too often.
    pub(crate) fn may_be_asked(&self, what: Asked, now: Timestamp) -> Result<(), Refusal> {
        if self.is_closed {
            return Err(Refusal::Closed(what));
        }
        match what {
            Asked::Mapping => self.mapping_rejections.allow(now),
            Asked::JournalAccess => self.access_rejections.allow(now),
        }
    }

    /// Returns the pending event, if there is one.
    pub(crate) fn event(&self) -> Option<Event> {
        let ended = RelationEnded {
            client_id: self.client_id.to_string(),
            therapist_id: self.therapist_id.to_string(),
            version: self.closed_version,
        };
        self.mark.map(|mark| mark.event(Kind::RelationEnded(ended)))
    }

    fn has_contact_by_client(&self) -> bool {
        self.contacts.iter().any(|contact| contact.by == Actor::Client)
    }

    /// Returns the relation after an intent and the change; `None` if the intent changes nothing. `grant` generates the
    /// id of a grant.
    ///
    /// # Errors
    /// The refusal of the present state.
    pub(crate) fn after(
        &self,
        actor: Actor,
        intent: Intent,
        now: Timestamp,
        grant: impl FnOnce() -> GrantId,
    ) -> Result<Option<(Self, Change)>, Refusal> {
        let before = self.at(now);
        let is_contact_by_therapist = actor == Actor::Therapist && matches!(intent, Intent::RecordContact(_));
        if is_contact_by_therapist && !self.is_agreed(now) {
            return Err(Refusal::NotAgreed);
        }
        if let Some(what) = intent.asks() {
            self.may_be_asked(what, now)?;
        }
        let after = match step(actor, intent.action(), before) {
            Step::To(_) if self.has(actor, intent, now) => return Ok(None),
            Step::To(after) => after,
            Step::Unchanged => return Ok(None),
            Step::Refused(refusal) => return Err(refusal),
        };
        let grant = if let Intent::Grant(limits) = intent {
            Some(Grant { id: grant(), limits })
        } else {
            self.grant.filter(|_| after.access == Access::Accepted)
        };
        let channel = if let Intent::RecordContact(channel) = intent { Some(channel) } else { None };
        let change = Change { actor, action: intent.action(), before, after, grant, channel, time: now };
        Ok(Some((self.changed(&change), change)))
    }

    /// Returns the relation after a change. Folding a history returns the stored relation.
    pub(crate) fn changed(&self, change: &Change) -> Self {
        let Change { actor, action, before, after, grant, channel, time } = *change;
        let since = |same, old| if same { old } else { time };
        let version = self.version + 1;
        let by_client = actor == Actor::Client;
        let closes = change.closes();
        let agrees = by_client && matches!(action, Action::Map | Action::Accept | Action::RecordContact);
        let grants = action == Action::Grant;
        let channel = channel.filter(|channel| !self.has_contact(actor, *channel));
        let contact = channel.map(|channel| Contact { by: actor, channel, at: time });
        let contacts = if closes { &[][..] } else { &self.contacts };
        Self {
            mapping: after.mapping,
            mapping_since: since(after.mapping == before.mapping, self.mapping_since),
            access: after.access,
            access_since: since(after.access == before.access && grant == self.grant, self.access_since),
            grant,
            was_mapped: self.was_mapped || after.mapping == Mapping::Active,
            contacts: contacts.iter().copied().chain(contact).collect(),
            was_contacted: self.was_contacted || closes && self.has_contact_by_client(),
            is_closed: closes || self.is_closed && !agrees,
            closed_version: if closes { version } else { self.closed_version },
            mapping_rejections: self.mapping_rejections.after(action == Action::Reject, agrees, time),
            access_rejections: self.access_rejections.after(action == Action::RejectAccess, agrees || grants, time),
            version,
            ..*self
        }
    }

    /// Returns whether the relation has the result of the intent already.
    fn has(&self, actor: Actor, intent: Intent, now: Timestamp) -> bool {
        match intent {
            Intent::Grant(limits) => self.grant_at(now).is_some_and(|grant| grant.limits == limits),
            Intent::RecordContact(channel) => self.is_recorded(actor, channel),
            Intent::End => actor == Actor::Client && self.is_closed,
            Intent::Map
            | Intent::RequestMapping
            | Intent::Accept
            | Intent::Reject
            | Intent::RequestAccess
            | Intent::RejectAccess
            | Intent::RevokeAccess
            | Intent::AccountEnded => false,
        }
    }
}

/// Returns the instant at which a request expires.
pub(crate) fn request_ends(since: Timestamp) -> Timestamp {
    since.saturating_add(REQUEST_LIFE).unwrap_or(Timestamp::MAX)
}

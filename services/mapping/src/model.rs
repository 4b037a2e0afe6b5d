//! A relation, its steps, and what they leave behind.

use std::time::Duration;

use kernel::{ClientId, Clock, Entropy, TherapistId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::transition::{Access, Action, Actor, Mapping, Refusal, State, Step, step};

/// How long a request waits for an answer.
pub(crate) const REQUEST_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The two whom a relation is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) client: ClientId,
    pub(crate) therapist: TherapistId,
}

/// What a grant covers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limits {
    /// Entries whose emotion was felt at or after this instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) entries_from: Option<Timestamp>,
    /// The grant ends by itself at this instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<Timestamp>,
}

/// The id of a grant (UUIDv7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GrantId(uuid::Uuid);

impl GrantId {
    pub(crate) fn generate(clock: &dyn Clock, entropy: &dyn Entropy) -> Self {
        let millis = u64::try_from(clock.now().as_millisecond()).unwrap_or_default();
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &entropy.array()).into_uuid())
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

/// By what somebody made contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Channel {
    Message,
    Appointment,
}

/// The first time that one of the two made contact by a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contact {
    pub(crate) by: Actor,
    pub(crate) channel: Channel,
    pub(crate) at: Timestamp,
}

/// What somebody wants to do.
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

    /// Whether the client answers a mapping request by it, if one is pending.
    pub(crate) const fn answers_request(self) -> bool {
        matches!(self, Self::Map | Self::Accept | Self::Reject | Self::End)
    }

    /// Whether it can be the first thing that happens between two.
    pub(crate) const fn begins(self) -> bool {
        matches!(self, Self::Map | Self::RequestMapping | Self::RecordContact(_))
    }
}

/// What is between a client and a therapist.
///
/// The states are as they were last written: [`Relation::at`] tells what they are now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Relation {
    pub(crate) client_id: ClientId,
    pub(crate) therapist_id: TherapistId,
    pub(crate) mapping: Mapping,
    pub(crate) mapping_since: Timestamp,
    pub(crate) access: Access,
    pub(crate) access_since: Timestamp,
    /// There exactly while access is ACCEPTED.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) grant: Option<Grant>,
    /// Whether the two were ever mapped.
    pub(crate) was_mapped: bool,
    pub(crate) contacts: Vec<Contact>,
    /// How many changes there were: 0 is nothing that is stored.
    pub(crate) version: u64,
}

/// One change of a relation: what the consent history keeps of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) actor: Actor,
    pub(crate) action: Action,
    pub(crate) before: State,
    pub(crate) after: State,
    /// The grant after the change, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) grant: Option<Grant>,
    /// The contact that was noted, if that was the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) channel: Option<Channel>,
    pub(crate) time: Timestamp,
}

impl Relation {
    /// Two between whom there was never anything.
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
            version: 0,
        }
    }

    pub(crate) const fn pair(&self) -> Pair {
        Pair { client: self.client_id, therapist: self.therapist_id }
    }

    /// Whether it is the request that an invitation became, of which nothing is stored as a relation.
    pub(crate) const fn is_by_invitation(&self) -> bool {
        self.version == 0
    }

    /// The states at an instant: requests and grants expire by the clock alone.
    pub(crate) fn at(&self, now: Timestamp) -> State {
        let is_over = |end: Timestamp| end <= now;
        let asked = self.mapping == Mapping::Requested;
        let mapping = if asked && is_over(request_ends(self.mapping_since)) { Mapping::Expired } else { self.mapping };
        let access_ends = match self.access {
            Access::Pending => Some(request_ends(self.access_since)),
            Access::Accepted => self.grant.and_then(|grant| grant.limits.expires_at),
            Access::None | Access::Rejected | Access::Expired | Access::Revoked => None,
        };
        let access = if access_ends.is_some_and(is_over) { Access::Expired } else { self.access };
        State { mapping, access }
    }

    /// The grant that lets the therapist read at an instant.
    pub(crate) fn grant_at(&self, now: Timestamp) -> Option<Grant> {
        let open = State { mapping: Mapping::Active, access: Access::Accepted };
        self.grant.filter(|_| self.at(now) == open)
    }

    /// Whether the client has agreed to be related: is mapped, or has made contact.
    pub(crate) fn is_agreed(&self, now: Timestamp) -> bool {
        self.at(now).mapping == Mapping::Active || self.has_contact_by_client()
    }

    /// Whether the therapist may know the client's name: the client has agreed to something, now or before.
    pub(crate) fn is_acquainted(&self) -> bool {
        self.was_mapped || self.has_contact_by_client()
    }

    /// Whether it is noted that this side made contact by this channel.
    pub(crate) fn has_contact(&self, by: Actor, channel: Channel) -> bool {
        self.contacts.iter().any(|contact| contact.by == by && contact.channel == channel)
    }

    fn has_contact_by_client(&self) -> bool {
        self.contacts.iter().any(|contact| contact.by == Actor::Client)
    }

    /// What the relation becomes when somebody does this now; nothing, if that changes nothing. `grant` makes
    /// the id of a grant.
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

    /// The relation after a change. Folding a history gives the relation that it is of.
    pub(crate) fn changed(&self, change: &Change) -> Self {
        let Change { actor, action: _, before, after, grant, channel, time } = *change;
        let since = |same, old| if same { old } else { time };
        let contact = channel.map(|channel| Contact { by: actor, channel, at: time });
        Self {
            mapping: after.mapping,
            mapping_since: since(after.mapping == before.mapping, self.mapping_since),
            access: after.access,
            access_since: since(after.access == before.access && grant == self.grant, self.access_since),
            grant,
            was_mapped: self.was_mapped || after.mapping == Mapping::Active,
            contacts: self.contacts.iter().copied().chain(contact).collect(),
            version: self.version + 1,
            ..*self
        }
    }

    /// Whether the very thing is there already that the intent would make.
    fn has(&self, actor: Actor, intent: Intent, now: Timestamp) -> bool {
        match intent {
            Intent::Grant(limits) => self.grant_at(now).is_some_and(|grant| grant.limits == limits),
            Intent::RecordContact(channel) => self.has_contact(actor, channel),
            Intent::Map
            | Intent::RequestMapping
            | Intent::Accept
            | Intent::Reject
            | Intent::End
            | Intent::RequestAccess
            | Intent::RejectAccess
            | Intent::RevokeAccess
            | Intent::AccountEnded => false,
        }
    }
}

/// When a request expires.
pub(crate) fn request_ends(since: Timestamp) -> Timestamp {
    since.saturating_add(REQUEST_LIFE).unwrap_or(Timestamp::MAX)
}

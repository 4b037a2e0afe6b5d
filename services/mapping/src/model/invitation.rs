//! Domain model of an invitation and of the client's answer to it.

use kernel::{ClientId, TherapistId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Change, GrantId, Intent, Pair, Relation, request_ends};
use crate::transition::{Access, Action, Actor, Asked, Mapping, Refusal, Step, step};

/// Subject of an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum InvitedTo {
    /// A mapping.
    Mapping,
    /// A mapping and access to the journal.
    JournalAccess,
}

/// An invitation as it is stored. Its attributes are keys of no index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Invitation {
    pub(crate) inviter: TherapistId,
    pub(crate) asked: InvitedTo,
    pub(crate) sent_at: Timestamp,
}

/// A relation after the client's action, and the changes that led there.
pub(crate) struct Answered {
    pub(crate) relation: Relation,
    pub(crate) changes: Vec<Change>,
    /// True if the action answers a request by invitation.
    pub(crate) by_invitation: bool,
}

impl Invitation {
    /// Returns whether the invitation is a request to this client: it has not expired, the mapping has not changed
    /// since it was sent, and the therapist was and is allowed to ask.
    pub(crate) fn is_open(&self, relation: Option<&Relation>, now: Timestamp) -> bool {
        let asks = |relation: &Relation| {
            let decided_since = relation.mapping != Mapping::None && relation.mapping_since > self.sent_at;
            !decided_since && may_be_asked(relation, self.sent_at) && may_be_asked(relation, now)
        };
        request_ends(self.sent_at) > now && relation.is_none_or(asks)
    }

    /// Returns the relation as the client sees it while the request is pending. Its version is 0: it is not stored.
    pub(crate) fn as_relation(&self, client: ClientId) -> Relation {
        let pair = Pair { client, therapist: self.inviter };
        Relation { mapping: Mapping::Requested, ..Relation::new(pair, self.sent_at) }
    }

    /// Returns the relation after the therapist's request by invitation and the client's intent. A request for access
    /// follows the mapping that it requires.
    ///
    /// # Errors
    /// The refusal of the request or of the intent.
    pub(crate) fn answered(
        &self,
        old: &Relation,
        intent: Intent,
        now: Timestamp,
        grant: &impl Fn() -> GrantId,
    ) -> Result<Option<Answered>, Refusal> {
        let mut answered = Answered { relation: old.clone(), changes: Vec::new(), by_invitation: true };
        answered.take(Actor::Therapist, Intent::RequestMapping, self.sent_at, grant)?;
        answered.take(Actor::Client, intent, now, grant)?;
        let is_off = !matches!(answered.relation.access, Access::Pending | Access::Accepted);
        if self.asked == InvitedTo::JournalAccess && answered.relation.mapping == Mapping::Active && is_off {
            // A request for access that is refused is left out.
            let _refused = answered.take(Actor::Therapist, Intent::RequestAccess, self.sent_at, grant);
        }
        Ok(Some(answered))
    }
}

impl From<(Relation, Change)> for Answered {
    fn from((relation, change): (Relation, Change)) -> Self {
        Self { relation, changes: vec![change], by_invitation: false }
    }
}

impl Answered {
    fn take(
        &mut self,
        actor: Actor,
        intent: Intent,
        at: Timestamp,
        grant: &impl Fn() -> GrantId,
    ) -> Result<(), Refusal> {
        if let Some((relation, change)) = self.relation.after(actor, intent, at, grant)? {
            self.relation = relation;
            self.changes.push(change);
        }
        Ok(())
    }
}

/// Returns whether the therapist may ask for a mapping at this instant.
fn may_be_asked(relation: &Relation, at: Timestamp) -> bool {
    relation.may_be_asked(Asked::Mapping, at).is_ok()
        && matches!(step(Actor::Therapist, Action::RequestMapping, relation.at(at)), Step::To(_))
}

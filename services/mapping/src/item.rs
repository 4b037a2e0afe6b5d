//! Keys and items of relations and invitations, which [`crate::store`] lists.

use dynamo::{Item, Key};
use kernel::{ClientId, Error, Result, UserId};
use outbox::Mark;
use serde::{Deserialize, Serialize};

use crate::model::{Invitation, Pair, Relation, request_ends};

pub(crate) const ENDED: &str = "ENDED";
const THERAPIST: &str = "THERAPIST#";

/// An invitation with its expiry.
#[derive(Serialize, Deserialize)]
pub(crate) struct InvitationRow {
    #[serde(flatten)]
    pub(crate) invitation: Invitation,
    /// Client who received it as a request; missing before.
    #[serde(skip_serializing_if = "Option::is_none")]
    invited: Option<ClientId>,
    /// In seconds since 1970.
    expires_at: i64,
}

impl InvitationRow {
    pub(crate) fn new(invitation: Invitation, invited: Option<ClientId>) -> Self {
        Self { invitation, invited, expires_at: request_ends(invitation.sent_at).as_second() }
    }
}

/// Returns the key of a relation.
pub(crate) fn key(pair: Pair) -> Key {
    Key::new(partition(pair.client), format!("{THERAPIST}{}", pair.therapist))
}

/// Returns the partition of a client's relations.
pub(crate) fn partition(client: ClientId) -> String {
    format!("CLIENT#{client}")
}

/// Returns the key of a request by invitation, which sorts right after the relation of the two.
pub(crate) fn request_key(pair: Pair) -> Key {
    Key::new(partition(pair.client), format!("THERAPIST#{}#INVITATION", pair.therapist))
}

/// Returns the partition of the marker of an ended account.
pub(crate) fn marker_partition(user: UserId) -> String {
    format!("ENDED#{user}")
}

/// Returns the key of that marker.
pub(crate) fn marker_key(user: UserId) -> Key {
    Key::new(marker_partition(user), ENDED)
}

impl TryFrom<Item> for Relation {
    type Error = Error;

    fn try_from(item: Item) -> Result<Self> {
        if let Some(request) = requested(&item)? {
            return Ok(request);
        }
        let mark = Mark::of(&item)?;
        Ok(Self { mark, ..item.parse()? })
    }
}

/// Returns the relation of an item of a client's partition, if the item is a request by invitation.
fn requested(item: &Item) -> Result<Option<Relation>> {
    if item.text("inviter").is_none() {
        return Ok(None);
    }
    let InvitationRow { invitation, invited, .. } = item.clone().parse()?;
    let client = invited.ok_or_else(|| Error::internal("a request by invitation names no client"))?;
    Ok(Some(invitation.as_relation(client)))
}

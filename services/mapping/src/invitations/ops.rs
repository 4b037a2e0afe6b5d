//! Use cases of invitations.

use chassis::Context;
use dynamo::Claim;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kernel::{Email, Error, Kind, Result, Timestamp};
use peers::Accounts;

use super::store::Inviter;
use super::{Addresses, Store};
use crate::model::{Invitation, InvitedTo, Relation};
use crate::policy::{AsClient, AsTherapist};

/// Invitations that are received concurrently.
const CONCURRENCY: usize = 4;

/// The use cases and their dependencies.
pub(crate) struct Invitations {
    pub(crate) store: Store,
    pub(crate) accounts: Accounts,
    pub(crate) addresses: Addresses,
}

impl Invitations {
    /// Invites the owner of an account with this address. The address is not looked up: the calls, and so the answer
    /// and its time, are the same for every address.
    pub(crate) async fn invite(
        &self,
        permit: AsTherapist,
        (address, asked): (&Email, InvitedTo),
        now: Timestamp,
        claim: Option<&Claim>,
    ) -> Result<()> {
        if let Some(claim) = claim
            && claim.replayed().await?.is_some()
        {
            return Ok(());
        }
        self.store.spend(permit, now).await?;
        let partition = self.addresses.to(address).ok_or_else(|| Error::internal("there is no secret"))?;
        let invitation = Invitation { inviter: permit.id(), asked, sent_at: now };
        self.store.invite(permit, &partition, invitation, claim).await
    }

    /// Turns the invitations to the address of the client's account into requests. Invitations that the client's
    /// earlier answers or endings don't allow are removed.
    pub(crate) async fn receive(&self, context: &Context, permit: AsClient, now: Timestamp) -> Result<()> {
        let address = match self.accounts.own_address(context).await {
            Ok(address) => address,
            // Requests received before can be listed without auth; the next list receives these.
            Err(error) if error.kind() == Kind::Unavailable => {
                tracing::warn!(%error, "invitations can't be received");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let Some(address) = address else { return Ok(()) };
        for partition in &self.addresses.of_owner(&address) {
            let invitations = self.store.invitations(permit, partition).await?;
            if invitations.is_empty() {
                continue;
            }
            let inviters = self.store.inviters(permit, invitations.iter().map(|it| it.inviter)).await?;
            let received = invitations.into_iter().map(|invitation| {
                let is_open = inviters.get(&invitation.inviter).is_some_and(|it| it.may_ask(invitation, now));
                async move {
                    if is_open {
                        self.store.receive(permit, partition, invitation).await
                    } else {
                        self.store.drop_invitation(permit, partition, invitation).await
                    }
                }
            });
            stream::iter(received).buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
        }
        Ok(())
    }

    /// Removes from a client's relations the requests by invitation that are no longer open and, unless `waiting`,
    /// those of therapists with whom there is a relation.
    pub(crate) async fn keep_open(
        &self,
        permit: AsClient,
        relations: &mut Vec<Relation>,
        waiting: bool,
        now: Timestamp,
    ) -> Result<()> {
        if !relations.iter().any(Relation::is_by_invitation) {
            return Ok(());
        }
        let invited = relations.iter().filter(|relation| relation.is_by_invitation());
        let inviters = self.store.inviters(permit, invited.map(|relation| relation.therapist_id)).await?;
        relations.retain(|relation| {
            let may_ask = |inviter: &Inviter| {
                let asked = InvitedTo::Mapping;
                let invitation = Invitation { inviter: relation.therapist_id, asked, sent_at: relation.mapping_since };
                inviter.may_ask(invitation, now) && (waiting || inviter.relation.is_none())
            };
            !relation.is_by_invitation() || inviters.get(&relation.therapist_id).is_some_and(may_ask)
        });
        Ok(())
    }
}

impl Inviter {
    fn may_ask(&self, invitation: Invitation, now: Timestamp) -> bool {
        !self.has_ended && invitation.is_open(self.relation.as_ref(), now)
    }
}

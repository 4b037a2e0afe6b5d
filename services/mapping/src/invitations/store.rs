//! Stores invitations in the table Mappings; [`crate::store`] lists its items.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use dynamo::{Claim, Condition, Item, Key, Read, Table, Transact, Update};
use kernel::{Entropy, Result, TherapistId, Timestamp, UserId};
use retry::Policy;

use super::budget::{Budget, INVITATIONS};
use crate::error;
use crate::item::{ENDED, InvitationRow, key, marker_key, marker_partition, request_key};
use crate::model::{Invitation, Relation};
use crate::policy::{Act, AsClient, AsTherapist};

/// Maximum attempts to spend from a budget under contention. Each lost attempt means that another request has spent one
/// invitation, so the budget is exhausted before the attempts are.
const ATTEMPTS: u32 = INVITATIONS + 1;
/// Maximum invitations that one list receives.
const RECEIVED: u16 = 50;
const BUDGET: &str = "BUDGET";

/// The handle of the table.
#[derive(Clone)]
pub(crate) struct Store {
    table: Table,
    entropy: Arc<dyn Entropy>,
}

/// State of an invitation's therapist that decides whether the invitation is open.
#[derive(Debug, Default)]
pub(crate) struct Inviter {
    /// The relation with the client.
    pub(crate) relation: Option<Relation>,
    /// True if the therapist's account has ended.
    pub(crate) has_ended: bool,
}

fn invitation_key(partition: &str, inviter: TherapistId) -> Key {
    Key::new(partition, format!("THERAPIST#{inviter}"))
}

fn budget_key(therapist: TherapistId) -> Key {
    Key::new(format!("INVITATIONS#{therapist}"), BUDGET)
}

impl Store {
    pub(crate) const fn new(table: Table, entropy: Arc<dyn Entropy>) -> Self {
        Self { table, entropy }
    }

    /// Counts one more invitation of the therapist.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when there were too many; ABORTED, UNAVAILABLE or INTERNAL.
    pub(crate) async fn spend(&self, permit: AsTherapist, now: Timestamp) -> Result<()> {
        let key = budget_key(permit.id());
        let mut budget: Budget = self.table.get(&key, Read::Consistent).await?.unwrap_or_default();
        let mut attempts = Policy::OPTIMISTIC.with_attempts(ATTEMPTS).start(&*self.entropy);
        while attempts.next().await {
            let unchanged =
                if budget.version == 0 { Condition::absent() } else { Condition::eq("version", budget.version) };
            match self.table.put(&key, &budget.spend(now)?).when(unchanged).run().await? {
                Update::Done(_) => return Ok(()),
                Update::ConditionFailed(there) => budget = there.map(Item::parse).transpose()?.unwrap_or_default(),
            }
        }
        Err(error::invitations_contended())
    }

    /// Stores an invitation in the partition of its address, replacing an earlier one, with the record of an idempotent
    /// request.
    pub(crate) async fn invite(
        &self,
        permit: AsTherapist,
        partition: &str,
        invitation: Invitation,
        claim: Option<&Claim>,
    ) -> Result<()> {
        let put = self.table.put(&invitation_key(partition, permit.id()), &InvitationRow::new(invitation, None));
        let Some(claim) = claim else {
            return put.run().await.map(drop);
        };
        if let Transact::Failed(verdicts) =
            self.table.transact([put.into(), claim.action(&permit.id().to_string())]).await?
            && let Some(verdict) = verdicts.get(1)
        {
            // The same request was completed before, or the key was used for another one.
            claim.lost(verdict)?;
        }
        Ok(())
    }

    /// Returns the invitations in the partition of an address.
    pub(crate) async fn invitations(&self, _permit: AsClient, partition: &str) -> Result<Vec<Invitation>> {
        self.table.query(partition).consistent().limit(RECEIVED).page().await?.parse()
    }

    /// Turns an invitation into a request to the client, unless the account has ended or another request has received
    /// it.
    pub(crate) async fn receive(&self, permit: AsClient, partition: &str, invitation: Invitation) -> Result<()> {
        let pair = permit.towards(invitation.inviter).pair();
        let delete = self.table.delete(&invitation_key(partition, invitation.inviter)).when(is(invitation));
        let put = self.table.put(&request_key(pair), &InvitationRow::new(invitation, Some(pair.client)));
        let account_check = self.table.check(&marker_key(pair.client.into()), Condition::absent());
        self.table.transact([put.into(), delete.into(), account_check]).await.map(drop)
    }

    /// Removes an invitation that may not become a request, unless it was sent again.
    pub(crate) async fn drop_invitation(
        &self,
        _permit: AsClient,
        partition: &str,
        invitation: Invitation,
    ) -> Result<()> {
        self.table.delete(&invitation_key(partition, invitation.inviter)).when(is(invitation)).run().await.map(drop)
    }

    /// Removes a request by invitation.
    pub(crate) async fn drop_request(&self, permit: Act) -> Result<()> {
        self.table.delete(&request_key(permit.pair())).run().await.map(drop)
    }

    /// Returns, for each of these therapists, the relation with the client and whether the therapist's account has
    /// ended, by one call for each hundred items.
    pub(crate) async fn inviters(
        &self,
        permit: AsClient,
        therapists: impl Iterator<Item = TherapistId>,
    ) -> Result<HashMap<TherapistId, Inviter>> {
        let mut inviters: HashMap<_, _> = therapists.map(|therapist| (therapist, Inviter::default())).collect();
        let keys = inviters
            .keys()
            .flat_map(|therapist| [key(permit.towards(*therapist).pair()), marker_key(UserId::from(*therapist))]);
        let mut relations = Vec::new();
        let mut ended = HashSet::new();
        for item in self.table.batch_get(keys.collect(), Read::Consistent).await? {
            match item.text("pk").filter(|_| item.text("sk") == Some(ENDED)) {
                Some(marker) => drop(ended.insert(marker.to_owned())),
                None => relations.push(Relation::try_from(item)?),
            }
        }
        for (therapist, inviter) in &mut inviters {
            inviter.has_ended = ended.contains(&marker_partition(UserId::from(*therapist)));
        }
        for relation in relations {
            if let Some(inviter) = inviters.get_mut(&relation.therapist_id) {
                inviter.relation = Some(relation);
            }
        }
        Ok(inviters)
    }

    /// Returns the relation of the two and the request by invitation, by one call.
    pub(crate) async fn read(&self, permit: Act) -> Result<(Option<Relation>, Option<Invitation>)> {
        let keys = vec![key(permit.pair()), request_key(permit.pair())];
        let (mut relation, mut invitation) = (None, None);
        for item in self.table.batch_get(keys, Read::Consistent).await? {
            if item.text("inviter").is_some() {
                invitation = Some(item.parse::<InvitationRow>()?.invitation);
            } else {
                relation = Some(Relation::try_from(item)?);
            }
        }
        Ok((relation, invitation))
    }
}

/// Returns the condition that the item is this invitation.
fn is(invitation: Invitation) -> Condition {
    Condition::eq("sent_at", invitation.sent_at)
}

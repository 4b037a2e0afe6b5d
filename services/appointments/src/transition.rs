//! Defines the state machine of an appointment as a table of the steps from every status.
//!
//! Pure: no clock, no ids. The caller passes EXPIRED for an expired request: no step leads there, and it is not stored.

use serde::{Deserialize, Serialize};

/// Actor of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Actor {
    Client,
    Therapist,
    /// Consequence of a change of the session, the account or the relation.
    System,
}

/// Command of a person, or event of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Accept,
    Reject,
    Revoke,
    Cancel,
    /// The session is booked for this appointment.
    Booked,
    /// The session is booked for another appointment, or does not take place.
    Lost,
    /// The therapist withdrew the session of this appointment.
    Withdrawn,
    /// The account of the therapist is deleted.
    AccountEnded,
    /// The client ended the relation with the therapist.
    RelationEnded,
}

/// Stored status of an appointment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum StoredStatus {
    Pending,
    Accepted,
    Rejected,
    Revoked,
}

/// Status of an appointment, as `Appointment.Status` of the proto documents it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Pending,
    Accepted,
    Rejected,
    Expired,
    Revoked,
}

/// Reason for which a step is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The role never has this action.
    NotTheirs,
    NotPending,
    NotAccepted,
    Begun,
    Expired,
}

/// Result of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    To(StoredStatus),
    /// The appointment is removed.
    Removed,
    /// The step was taken before, or has no effect in this status.
    Unchanged,
    Refused(Refusal),
}

/// Line of the table: the statuses in which an action has this result.
struct Rule {
    actor: Actor,
    action: Action,
    status: &'static [Status],
    then: Step,
}

const fn rule(actor: Actor, action: Action, status: &'static [Status], then: Step) -> Rule {
    Rule { actor, action, status, then }
}

/// Table of the steps. An actor that has an action has exactly one line for each status; without lines the action is
/// refused.
const TABLE: &[Rule] = {
    use Action as A;
    use Actor::{Client, System, Therapist};
    use Refusal as R;
    use Status as S;
    use Step::{Refused, Removed, To, Unchanged};

    const CLOSED: &[S] = &[S::Rejected, S::Expired, S::Revoked];
    &[
        // The slot is reserved first, which decides between concurrent acceptances.
        rule(Therapist, A::Accept, &[S::Pending], To(StoredStatus::Accepted)),
        rule(Therapist, A::Accept, &[S::Accepted], Unchanged),
        rule(Therapist, A::Accept, &[S::Expired], Refused(R::Expired)),
        rule(Therapist, A::Accept, &[S::Rejected, S::Revoked], Refused(R::NotPending)),
        rule(Therapist, A::Reject, &[S::Pending], To(StoredStatus::Rejected)),
        rule(Therapist, A::Reject, &[S::Rejected], Unchanged),
        rule(Therapist, A::Reject, &[S::Expired], Refused(R::Expired)),
        rule(Therapist, A::Reject, &[S::Accepted, S::Revoked], Refused(R::NotPending)),
        rule(Therapist, A::Revoke, &[S::Accepted], To(StoredStatus::Revoked)),
        rule(Therapist, A::Revoke, &[S::Revoked], Unchanged),
        rule(Therapist, A::Revoke, &[S::Pending, S::Rejected, S::Expired], Refused(R::NotAccepted)),
        rule(Client, A::Revoke, &[S::Accepted], To(StoredStatus::Revoked)),
        rule(Client, A::Revoke, &[S::Revoked], Unchanged),
        rule(Client, A::Revoke, &[S::Pending, S::Rejected, S::Expired], Refused(R::NotAccepted)),
        rule(Client, A::Cancel, &[S::Pending], Removed),
        rule(Client, A::Cancel, &[S::Accepted, S::Rejected, S::Expired, S::Revoked], Refused(R::NotPending)),
        rule(System, A::Booked, &[S::Pending], To(StoredStatus::Accepted)),
        rule(System, A::Booked, &[S::Accepted], Unchanged),
        rule(System, A::Booked, CLOSED, Refused(R::NotPending)),
        rule(System, A::Lost, &[S::Pending], To(StoredStatus::Rejected)),
        rule(System, A::Lost, &[S::Accepted, S::Rejected, S::Expired, S::Revoked], Unchanged),
        rule(System, A::Withdrawn, &[S::Pending], To(StoredStatus::Rejected)),
        rule(System, A::Withdrawn, &[S::Accepted], To(StoredStatus::Revoked)),
        rule(System, A::Withdrawn, CLOSED, Unchanged),
        rule(System, A::AccountEnded, &[S::Pending], To(StoredStatus::Rejected)),
        rule(System, A::AccountEnded, &[S::Accepted], To(StoredStatus::Revoked)),
        rule(System, A::AccountEnded, CLOSED, Unchanged),
        rule(System, A::RelationEnded, &[S::Pending], Removed),
        rule(System, A::RelationEnded, &[S::Accepted, S::Rejected, S::Expired, S::Revoked], Unchanged),
    ]
};

impl Rule {
    fn is_of(&self, actor: Actor, action: Action) -> bool {
        self.actor == actor && self.action == action
    }
}

/// Returns the result of an action in this status.
pub(crate) fn step(actor: Actor, action: Action, status: Status) -> Step {
    let rule = TABLE.iter().find(|rule| rule.is_of(actor, action) && rule.status.contains(&status));
    rule.map_or(Step::Refused(Refusal::NotTheirs), |rule| rule.then)
}

/// Returns whether the actor ever has this action.
pub(crate) fn is_theirs(actor: Actor, action: Action) -> bool {
    TABLE.iter().any(|rule| rule.is_of(actor, action))
}

impl From<StoredStatus> for Status {
    fn from(status: StoredStatus) -> Self {
        match status {
            StoredStatus::Pending => Self::Pending,
            StoredStatus::Accepted => Self::Accepted,
            StoredStatus::Rejected => Self::Rejected,
            StoredStatus::Revoked => Self::Revoked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTORS: [Actor; 3] = [Actor::Client, Actor::Therapist, Actor::System];
    const ACTIONS: [Action; 9] = [
        Action::Accept,
        Action::Reject,
        Action::Revoke,
        Action::Cancel,
        Action::Booked,
        Action::Lost,
        Action::Withdrawn,
        Action::AccountEnded,
        Action::RelationEnded,
    ];
    const STATUSES: [Status; 5] =
        [Status::Pending, Status::Accepted, Status::Rejected, Status::Expired, Status::Revoked];

    fn all() -> impl Iterator<Item = (Actor, Action, Status)> {
        ACTORS.into_iter().flat_map(|actor| {
            ACTIONS.into_iter().flat_map(move |action| STATUSES.into_iter().map(move |status| (actor, action, status)))
        })
    }

    #[test]
    fn table_has_one_rule_per_actor_action_and_status() {
        for (actor, action, status) in all() {
            let holds = |rule: &&Rule| rule.is_of(actor, action) && rule.status.contains(&status);
            let lines = TABLE.iter().filter(holds).count();
            assert_eq!(lines, usize::from(is_theirs(actor, action)), "{actor:?} {action:?} {status:?}");
        }
    }

    #[test]
    fn action_of_other_actor_is_refused() {
        use Actor::{Client, System, Therapist};
        for (actor, action, status) in all() {
            let theirs: &[Actor] = match action {
                Action::Accept | Action::Reject => &[Therapist],
                Action::Revoke => &[Client, Therapist],
                Action::Cancel => &[Client],
                Action::Booked | Action::Lost | Action::Withdrawn | Action::AccountEnded | Action::RelationEnded => {
                    &[System]
                }
            };
            let refused = step(actor, action, status) == Step::Refused(Refusal::NotTheirs);
            assert_eq!(refused, !theirs.contains(&actor), "{actor:?} {action:?} {status:?}");
            assert_eq!(is_theirs(actor, action), theirs.contains(&actor));
        }
    }

    #[test]
    fn step_never_leads_backward() {
        let place = |status: Status| match status {
            Status::Pending => 0,
            Status::Accepted => 1,
            Status::Rejected | Status::Expired | Status::Revoked => 2,
        };
        for (actor, action, status) in all() {
            match step(actor, action, status) {
                Step::To(after) => assert!(place(after.into()) > place(status), "{actor:?} {action:?} {status:?}"),
                Step::Removed => {
                    let by = [(Actor::Client, Action::Cancel), (Actor::System, Action::RelationEnded)];
                    assert!(by.contains(&(actor, action)) && status == Status::Pending, "{actor:?} {action:?}");
                }
                Step::Unchanged | Step::Refused(_) => {}
            }
        }
    }

    #[test]
    fn rejection_needs_pending_and_revocation_accepted() {
        for (actor, action, status) in all() {
            let from = match step(actor, action, status) {
                Step::To(StoredStatus::Accepted | StoredStatus::Rejected) => Status::Pending,
                Step::To(StoredStatus::Revoked) => Status::Accepted,
                Step::To(StoredStatus::Pending) => panic!("nothing leads to PENDING"),
                Step::Removed | Step::Unchanged | Step::Refused(_) => continue,
            };
            assert_eq!(status, from, "{actor:?} {action:?}");
        }
    }

    #[test]
    fn repeated_step_changes_nothing() {
        for (actor, action, status) in all() {
            if let Step::To(after) = step(actor, action, status) {
                assert_eq!(step(actor, action, after.into()), Step::Unchanged, "{actor:?} {action:?} {status:?}");
            }
        }
    }

    /// A refused booking makes the saga release the slot.
    #[test]
    fn booking_of_closed_appointment_is_refused() {
        for status in STATUSES {
            let then = match status {
                Status::Pending => Step::To(StoredStatus::Accepted),
                Status::Accepted => Step::Unchanged,
                Status::Rejected | Status::Expired | Status::Revoked => Step::Refused(Refusal::NotPending),
            };
            assert_eq!(step(Actor::System, Action::Booked, status), then, "{status:?}");
        }
    }
}

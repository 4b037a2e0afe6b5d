//! The life of an appointment as data: one table of every step that somebody can take, from every state.
//!
//! Pure: no clock, no ids. What has expired comes in as EXPIRED, and nothing leads there: it is never stored.

use kernel::{Error, Kind};
use serde::{Deserialize, Serialize};

/// Who acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Actor {
    Client,
    Therapist,
    /// What follows from a session, or from the end of an account.
    System,
}

/// What somebody does, or what happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Accept,
    Reject,
    Revoke,
    Cancel,
    /// The session is booked for this appointment.
    Booked,
    /// The session is another's, or is none any more.
    Lost,
    /// The therapist took the session back, which was this appointment's.
    Withdrawn,
    /// The account of the therapist is ended.
    AccountEnded,
    /// The client has ended the relation with the therapist.
    RelationEnded,
}

/// Where an appointment stands, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Standing {
    Pending,
    Accepted,
    Rejected,
    Revoked,
}

/// Where an appointment stands, as `Appointment.Status` of the proto explains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Pending,
    Accepted,
    Rejected,
    Expired,
    Revoked,
}

/// Why a step can't be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// This kind of person never does this.
    NotTheirs,
    NotPending,
    NotAccepted,
    Begun,
    Expired,
}

/// What a step leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    To(Standing),
    /// There is no such appointment any more.
    Removed,
    /// It has been taken before, or means nothing here.
    Unchanged,
    Refused(Refusal),
}

/// One line of the table: these states, and what becomes of them.
struct Rule {
    actor: Actor,
    action: Action,
    status: &'static [Status],
    then: Step,
}

const fn rule(actor: Actor, action: Action, status: &'static [Status], then: Step) -> Rule {
    Rule { actor, action, status, then }
}

/// For each actor and action exactly one line holds of each state; an actor and an action without lines don't go
/// together.
const TABLE: &[Rule] = {
    use Action as D;
    use Actor::{Client, System, Therapist};
    use Refusal as R;
    use Status as S;
    use Step::{Refused, Removed, To, Unchanged};

    const CLOSED: &[S] = &[S::Rejected, S::Expired, S::Revoked];
    &[
        // The slot of the session decides between those who are accepted at once: it is reserved first.
        rule(Therapist, D::Accept, &[S::Pending], To(Standing::Accepted)),
        rule(Therapist, D::Accept, &[S::Accepted], Unchanged),
        rule(Therapist, D::Accept, &[S::Expired], Refused(R::Expired)),
        rule(Therapist, D::Accept, &[S::Rejected, S::Revoked], Refused(R::NotPending)),
        rule(Therapist, D::Reject, &[S::Pending], To(Standing::Rejected)),
        rule(Therapist, D::Reject, &[S::Rejected], Unchanged),
        rule(Therapist, D::Reject, &[S::Expired], Refused(R::Expired)),
        rule(Therapist, D::Reject, &[S::Accepted, S::Revoked], Refused(R::NotPending)),
        rule(Therapist, D::Revoke, &[S::Accepted], To(Standing::Revoked)),
        rule(Therapist, D::Revoke, &[S::Revoked], Unchanged),
        rule(Therapist, D::Revoke, &[S::Pending, S::Rejected, S::Expired], Refused(R::NotAccepted)),
        rule(Client, D::Revoke, &[S::Accepted], To(Standing::Revoked)),
        rule(Client, D::Revoke, &[S::Revoked], Unchanged),
        rule(Client, D::Revoke, &[S::Pending, S::Rejected, S::Expired], Refused(R::NotAccepted)),
        rule(Client, D::Cancel, &[S::Pending], Removed),
        rule(Client, D::Cancel, &[S::Accepted, S::Rejected, S::Expired, S::Revoked], Refused(R::NotPending)),
        rule(System, D::Booked, &[S::Pending], To(Standing::Accepted)),
        rule(System, D::Booked, &[S::Accepted], Unchanged),
        rule(System, D::Booked, CLOSED, Refused(R::NotPending)),
        rule(System, D::Lost, &[S::Pending], To(Standing::Rejected)),
        rule(System, D::Lost, &[S::Accepted, S::Rejected, S::Expired, S::Revoked], Unchanged),
        rule(System, D::Withdrawn, &[S::Pending], To(Standing::Rejected)),
        rule(System, D::Withdrawn, &[S::Accepted], To(Standing::Revoked)),
        rule(System, D::Withdrawn, CLOSED, Unchanged),
        rule(System, D::AccountEnded, &[S::Pending], To(Standing::Rejected)),
        rule(System, D::AccountEnded, &[S::Accepted], To(Standing::Revoked)),
        rule(System, D::AccountEnded, CLOSED, Unchanged),
        rule(System, D::RelationEnded, &[S::Pending], Removed),
        rule(System, D::RelationEnded, &[S::Accepted, S::Rejected, S::Expired, S::Revoked], Unchanged),
    ]
};

impl Rule {
    fn is_of(&self, actor: Actor, action: Action) -> bool {
        self.actor == actor && self.action == action
    }
}

/// What becomes of an appointment that stands so when somebody does this.
pub(crate) fn step(actor: Actor, action: Action, status: Status) -> Step {
    let rule = TABLE.iter().find(|rule| rule.is_of(actor, action) && rule.status.contains(&status));
    rule.map_or(Step::Refused(Refusal::NotTheirs), |rule| rule.then)
}

/// Whether this kind of person ever does this.
pub(crate) fn is_theirs(actor: Actor, action: Action) -> bool {
    TABLE.iter().any(|rule| rule.is_of(actor, action))
}

impl From<Standing> for Status {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Pending => Self::Pending,
            Standing::Accepted => Self::Accepted,
            Standing::Rejected => Self::Rejected,
            Standing::Revoked => Self::Revoked,
        }
    }
}

impl Refusal {
    pub(crate) fn into_error(self) -> Error {
        let precondition = Kind::FailedPrecondition;
        let (kind, reason, message) = match self {
            Self::NotTheirs => (Kind::PermissionDenied, "ROLE_NOT_ALLOWED", "the other side alone may do this"),
            Self::NotPending => (
                precondition,
                "NOT_PENDING",
                "the request does not wait for an answer any more: read the appointment to see where it stands",
            ),
            Self::NotAccepted => (precondition, "NOT_ACCEPTED", "only an appointment that is ACCEPTED can be revoked"),
            Self::Begun => {
                (precondition, "SESSION_OVER", "the session has begun: only its therapist can still cancel it")
            }
            Self::Expired => (
                precondition,
                "APPOINTMENT_EXPIRED",
                "the session began before the request was answered: agree on another one",
            ),
        };
        Error::new(kind, reason, message)
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
    fn exactly_one_line_holds_of_each_state_of_each_actor_and_action_that_go_together() {
        for (actor, action, status) in all() {
            let holds = |rule: &&Rule| rule.is_of(actor, action) && rule.status.contains(&status);
            let lines = TABLE.iter().filter(holds).count();
            assert_eq!(lines, usize::from(is_theirs(actor, action)), "{actor:?} {action:?} {status:?}");
        }
    }

    #[test]
    fn each_action_is_of_its_actors_alone() {
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
    fn an_appointment_only_goes_forward() {
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
    fn rejected_comes_from_pending_and_revoked_from_accepted_alone() {
        for (actor, action, status) in all() {
            let from = match step(actor, action, status) {
                Step::To(Standing::Accepted | Standing::Rejected) => Status::Pending,
                Step::To(Standing::Revoked) => Status::Accepted,
                Step::To(Standing::Pending) => panic!("nothing leads to PENDING"),
                Step::Removed | Step::Unchanged | Step::Refused(_) => continue,
            };
            assert_eq!(status, from, "{actor:?} {action:?}");
        }
    }

    #[test]
    fn a_step_that_was_taken_changes_nothing_when_it_is_taken_again() {
        for (actor, action, status) in all() {
            if let Step::To(after) = step(actor, action, status) {
                assert_eq!(step(actor, action, after.into()), Step::Unchanged, "{actor:?} {action:?} {status:?}");
            }
        }
    }

    #[test]
    fn a_booking_finds_an_appointment_that_holds_or_is_to_be_given_back() {
        for status in STATUSES {
            let then = match status {
                Status::Pending => Step::To(Standing::Accepted),
                Status::Accepted => Step::Unchanged,
                Status::Rejected | Status::Expired | Status::Revoked => Step::Refused(Refusal::NotPending),
            };
            assert_eq!(step(Actor::System, Action::Booked, status), then, "{status:?}");
        }
    }
}

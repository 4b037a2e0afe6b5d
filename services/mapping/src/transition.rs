//! State machine of consent: one table of the transitions of every actor and action from every state.
//!
//! Pure: no clock, no ids. An expired state is passed as EXPIRED.

use std::time::Duration;

use kernel::Timestamp;
use serde::{Deserialize, Serialize};

/// Actor of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Actor {
    Client,
    Therapist,
    /// The service itself, after the end of an account.
    System,
}

/// Action of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Action {
    Map,
    RequestMapping,
    Accept,
    Reject,
    End,
    RequestAccess,
    Grant,
    RejectAccess,
    RevokeAccess,
    RecordContact,
    AccountEnded,
}

/// The mapping, as `Mapping.Status` of the proto explains its states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Mapping {
    None,
    Requested,
    Active,
    Rejected,
    Expired,
    Ended,
}

/// The therapist's access to the journal, as `JournalAccess.Status` of the proto explains its states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Access {
    None,
    Pending,
    Accepted,
    Rejected,
    Expired,
    Revoked,
}

/// Both states of a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) mapping: Mapping,
    pub(crate) access: Access,
}

/// Subject of a therapist's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Mapping,
    JournalAccess,
}

/// Reasons for refusing a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The action is not available to this actor.
    NotTheirs,
    MappingExists,
    RequestPending,
    JournalAccessExists,
    NoPendingRequest,
    NotMapped,
    NotAgreed,
    NoJournalAccess,
    /// The client has ended the relation; carries the subject of the refused request.
    Closed(Asked),
    /// The client has recently rejected the same request.
    RejectedLately {
        from: Timestamp,
        wait: Duration,
    },
    RejectedTooOften,
}

/// Result of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Transition to this state, which may equal the present one when only other facts change.
    To(State),
    /// The step was taken before.
    Unchanged,
    Refused(Refusal),
}

/// One rule of the table: the states that it matches, and their result. An empty list matches any state.
struct Rule {
    actor: Actor,
    action: Action,
    mapping: &'static [Mapping],
    access: &'static [Access],
    then: Then,
}

#[derive(Clone, Copy)]
enum Then {
    Mapping(Mapping),
    Access(Access),
    Both(Mapping, Access),
    /// The states stay; another fact is recorded.
    Note,
    Unchanged,
    Refused(Refusal),
}

const fn rule(
    actor: Actor,
    action: Action,
    mapping: &'static [Mapping],
    access: &'static [Access],
    then: Then,
) -> Rule {
    Rule { actor, action, mapping, access, then }
}

/// For each actor and action either exactly one rule matches each state, or none matches any: then the action is not
/// available to the actor.
const TABLE: &[Rule] = {
    use Access as A;
    use Action as D;
    use Actor::{Client, System, Therapist};
    use Mapping as M;
    use Refusal as R;
    use Then::{Access as Journal, Both, Mapping as To, Note, Refused, Unchanged};

    const ON: &[A] = &[A::Pending, A::Accepted];
    const OFF: &[A] = &[A::None, A::Rejected, A::Expired, A::Revoked];
    const NOT_ACTIVE: &[M] = &[M::None, M::Requested, M::Rejected, M::Expired, M::Ended];
    &[
        rule(Client, D::Map, NOT_ACTIVE, &[], To(M::Active)),
        rule(Client, D::Map, &[M::Active], &[], Refused(R::MappingExists)),
        rule(Therapist, D::RequestMapping, &[M::None, M::Rejected, M::Expired, M::Ended], &[], To(M::Requested)),
        rule(Therapist, D::RequestMapping, &[M::Requested], &[], Refused(R::RequestPending)),
        rule(Therapist, D::RequestMapping, &[M::Active], &[], Refused(R::MappingExists)),
        rule(Client, D::Accept, &[M::Requested], &[], To(M::Active)),
        rule(Client, D::Accept, &[M::Active], &[], Unchanged),
        rule(Client, D::Accept, &[M::None, M::Rejected, M::Expired, M::Ended], &[], Refused(R::NoPendingRequest)),
        rule(Client, D::Reject, &[M::Requested], &[], To(M::Rejected)),
        rule(Client, D::Reject, &[M::Rejected], &[], Unchanged),
        rule(Client, D::Reject, &[M::None, M::Active, M::Expired, M::Ended], &[], Refused(R::NoPendingRequest)),
        rule(Client, D::End, &[M::Active], ON, Both(M::Ended, A::Revoked)),
        rule(Client, D::End, &[M::Active], OFF, To(M::Ended)),
        rule(Client, D::End, &[M::Requested], &[], To(M::Rejected)),
        rule(Client, D::End, &[M::None, M::Expired], &[], To(M::Ended)),
        // Contact ends with the relation.
        rule(Client, D::End, &[M::Rejected, M::Ended], &[], Note),
        rule(Therapist, D::End, &[M::Active], ON, Both(M::Ended, A::Revoked)),
        rule(Therapist, D::End, &[M::Active], OFF, To(M::Ended)),
        rule(Therapist, D::End, &[M::Requested], &[], To(M::Ended)),
        rule(Therapist, D::End, &[M::Ended], &[], Unchanged),
        rule(Therapist, D::End, &[M::None, M::Rejected, M::Expired], &[], Refused(R::NotMapped)),
        rule(Therapist, D::RequestAccess, &[M::Active], OFF, Journal(A::Pending)),
        rule(Therapist, D::RequestAccess, &[M::Active], &[A::Pending], Refused(R::RequestPending)),
        rule(Therapist, D::RequestAccess, &[M::Active], &[A::Accepted], Refused(R::JournalAccessExists)),
        rule(Therapist, D::RequestAccess, NOT_ACTIVE, &[], Refused(R::NotMapped)),
        rule(Client, D::Grant, &[M::Active], &[], Journal(A::Accepted)),
        rule(Client, D::Grant, NOT_ACTIVE, &[], Refused(R::NotMapped)),
        rule(Client, D::RejectAccess, &[], &[A::Pending], Journal(A::Rejected)),
        rule(Client, D::RejectAccess, &[], &[A::Rejected], Unchanged),
        rule(
            Client,
            D::RejectAccess,
            &[],
            &[A::None, A::Accepted, A::Expired, A::Revoked],
            Refused(R::NoPendingRequest),
        ),
        rule(Client, D::RevokeAccess, &[], &[A::Accepted, A::Expired], Journal(A::Revoked)),
        rule(Client, D::RevokeAccess, &[], &[A::Revoked], Unchanged),
        rule(Client, D::RevokeAccess, &[], &[A::None, A::Pending, A::Rejected], Refused(R::NoJournalAccess)),
        rule(Client, D::RecordContact, &[], &[], Note),
        rule(Therapist, D::RecordContact, &[], &[], Note),
        rule(System, D::AccountEnded, &[M::Active], ON, Both(M::Ended, A::Revoked)),
        rule(System, D::AccountEnded, &[M::Active], OFF, To(M::Ended)),
        rule(System, D::AccountEnded, &[M::Requested], &[], To(M::Ended)),
        rule(System, D::AccountEnded, &[M::None, M::Rejected, M::Expired, M::Ended], &[], Unchanged),
    ]
};

impl Rule {
    fn matches(&self, actor: Actor, action: Action, state: State) -> bool {
        let is_any = |states: bool, named: bool| states || named;
        self.actor == actor
            && self.action == action
            && is_any(self.mapping.is_empty(), self.mapping.contains(&state.mapping))
            && is_any(self.access.is_empty(), self.access.contains(&state.access))
    }
}

/// Returns the result of an actor's action in a state.
pub(crate) fn step(actor: Actor, action: Action, state: State) -> Step {
    let State { mapping, access } = state;
    let rule = TABLE.iter().find(|rule| rule.matches(actor, action, state));
    match rule.map(|rule| rule.then) {
        Some(Then::Mapping(mapping)) => Step::To(State { mapping, access }),
        Some(Then::Access(access)) => Step::To(State { mapping, access }),
        Some(Then::Both(mapping, access)) => Step::To(State { mapping, access }),
        Some(Then::Note) => Step::To(state),
        Some(Then::Unchanged) => Step::Unchanged,
        Some(Then::Refused(refusal)) => Step::Refused(refusal),
        None => Step::Refused(Refusal::NotTheirs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTORS: [Actor; 3] = [Actor::Client, Actor::Therapist, Actor::System];
    const ACTIONS: [Action; 11] = [
        Action::Map,
        Action::RequestMapping,
        Action::Accept,
        Action::Reject,
        Action::End,
        Action::RequestAccess,
        Action::Grant,
        Action::RejectAccess,
        Action::RevokeAccess,
        Action::RecordContact,
        Action::AccountEnded,
    ];
    const MAPPINGS: [Mapping; 6] =
        [Mapping::None, Mapping::Requested, Mapping::Active, Mapping::Rejected, Mapping::Expired, Mapping::Ended];
    const ACCESSES: [Access; 6] =
        [Access::None, Access::Pending, Access::Accepted, Access::Rejected, Access::Expired, Access::Revoked];

    fn all() -> impl Iterator<Item = (Actor, Action, State)> {
        let states = || MAPPINGS.iter().flat_map(|m| ACCESSES.iter().map(|a| State { mapping: *m, access: *a }));
        ACTORS.into_iter().flat_map(move |actor| {
            ACTIONS.into_iter().flat_map(move |action| states().map(move |state| (actor, action, state)))
        })
    }

    /// Returns whether a state is consistent: access is on or requested only with a mapping.
    fn is_sound(State { mapping, access }: State) -> bool {
        mapping == Mapping::Active || !matches!(access, Access::Pending | Access::Accepted)
    }

    #[test]
    fn one_rule_matches_each_state_of_an_available_action() {
        for (actor, action, state) in all() {
            let is_available = TABLE.iter().any(|rule| rule.actor == actor && rule.action == action);
            let rules = TABLE.iter().filter(|rule| rule.matches(actor, action, state)).count();
            assert_eq!(rules, usize::from(is_available), "{actor:?} {action:?} {state:?}");
        }
    }

    #[test]
    fn actions_are_available_to_their_actors_only() {
        use Actor::{Client, System, Therapist};
        for (actor, action, state) in all() {
            let theirs: &[Actor] = match action {
                Action::Map
                | Action::Accept
                | Action::Reject
                | Action::Grant
                | Action::RejectAccess
                | Action::RevokeAccess => &[Client],
                Action::RequestMapping | Action::RequestAccess => &[Therapist],
                Action::End | Action::RecordContact => &[Client, Therapist],
                Action::AccountEnded => &[System],
            };
            let refused = step(actor, action, state) == Step::Refused(Refusal::NotTheirs);
            assert_eq!(refused, !theirs.contains(&actor), "{actor:?} {action:?} {state:?}");
        }
    }

    #[test]
    fn access_on_or_requested_implies_mapping() {
        for (actor, action, state) in all().filter(|(.., state)| is_sound(*state)) {
            if let Step::To(after) = step(actor, action, state) {
                assert!(is_sound(after), "{actor:?} {action:?} {state:?}");
            }
        }
    }

    /// Only the client activates a mapping or access, and no step leads to NONE or EXPIRED.
    #[test]
    fn only_clients_activate_and_no_step_expires() {
        for (actor, action, state) in all() {
            let Step::To(after) = step(actor, action, state) else { continue };
            if actor != Actor::Client {
                assert!(after.mapping != Mapping::Active || state.mapping == Mapping::Active, "{actor:?} {action:?}");
                assert!(after.access != Access::Accepted || state.access == Access::Accepted, "{actor:?} {action:?}");
            }
            assert!(after.mapping != Mapping::Expired || state.mapping == Mapping::Expired);
            assert!(after.access != Access::Expired || state.access == Access::Expired);
            assert!(after.mapping != Mapping::None || state.mapping == Mapping::None);
            assert!(after.access != Access::None || state.access == Access::None);
        }
    }

    #[test]
    fn repeated_step_is_unchanged_or_refused() {
        for (actor, action, state) in all().filter(|(.., state)| is_sound(*state)) {
            // A grant given again may have other limits, contact another channel, and contact ends with a relation.
            if matches!(action, Action::Grant | Action::RecordContact)
                || (actor, action) == (Actor::Client, Action::End)
            {
                continue;
            }
            if let Step::To(after) = step(actor, action, state) {
                assert!(!matches!(step(actor, action, after), Step::To(_)), "{actor:?} {action:?} {state:?}");
            }
        }
    }

    #[test]
    fn account_ended_leaves_nothing_active() {
        for (.., state) in all() {
            match step(Actor::System, Action::AccountEnded, state) {
                Step::To(after) => {
                    assert_eq!(after.mapping, Mapping::Ended);
                    assert!(!is_sound(state) || !matches!(after.access, Access::Pending | Access::Accepted));
                }
                Step::Unchanged => assert!(!matches!(state.mapping, Mapping::Active | Mapping::Requested)),
                Step::Refused(refusal) => panic!("{state:?}: {refusal:?}"),
            }
        }
    }
}

//! Rules of the relation between a client and a therapist, as the contract states them.

use crate::model::{DAY, Ms, NOT_FOUND, Refusal};

/// Lifetime of an unanswered request.
pub(crate) const WAIT: Ms = 30 * DAY;

/// Pause after a rejection before the therapist may ask for the same again.
const PAUSE: Ms = 7 * DAY;
/// Number of rejections after which the therapist can't ask for the same again.
const MOST_REJECTIONS: usize = 3;

/// Relation between a client and a therapist.
#[derive(Debug, Clone, Default)]
pub(crate) struct Relation {
    mapping: Mapping,
    access: Access,
    was_mapped: bool,
    /// True if the client has made contact since the client last ended the relation: by a message or a request for an
    /// appointment.
    contacted: bool,
    /// True if the client has ever made contact.
    was_contacted: bool,
    /// True if the client has ended the relation and not reopened it.
    closed: bool,
    /// Times of rejected mapping requests since the client last made contact or mapped the therapist.
    mapping_rejections: Vec<Ms>,
    /// Times of rejected requests for access since then and since the last grant.
    access_rejections: Vec<Ms>,
}

#[derive(Debug, Clone, Default)]
enum Mapping {
    #[default]
    None,
    Requested(Ms),
    Active(Ms),
    Rejected,
    Ended,
}

#[derive(Debug, Clone, Default)]
enum Access {
    #[default]
    None,
    Pending(Ms),
    Accepted(Grant),
    Rejected,
    Revoked,
}

/// A grant of access to a journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Grant {
    /// Id that the mesh returned.
    pub(crate) id: String,
    pub(crate) since: Ms,
    pub(crate) entries_from: Option<Ms>,
    pub(crate) expires_at: Option<Ms>,
}

/// An action on a relation.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Map,
    RequestMapping,
    RequestAccess,
    AcceptMapping,
    RejectMapping,
    /// True for the client, false for the therapist.
    End(bool),
    EndAccess,
    Grant(Grant),
    RejectAccess,
}

impl Grant {
    fn covers_as(&self, other: &Self) -> bool {
        (self.entries_from, self.expires_at) == (other.entries_from, other.expires_at)
    }
}

impl Relation {
    pub(crate) fn mapping_status(&self, now: Ms) -> &'static str {
        match self.mapping {
            Mapping::None => "NONE",
            Mapping::Requested(at) if now >= at + WAIT => "EXPIRED",
            Mapping::Requested(_) => "REQUESTED",
            Mapping::Active(_) => "ACTIVE",
            Mapping::Rejected => "REJECTED",
            Mapping::Ended => "ENDED",
        }
    }

    pub(crate) fn access_status(&self, now: Ms) -> &'static str {
        match &self.access {
            Access::None => "NONE",
            Access::Pending(at) if now >= at + WAIT => "EXPIRED",
            Access::Pending(_) => "PENDING",
            Access::Accepted(grant) if grant.expires_at.is_some_and(|end| now >= end) => "EXPIRED",
            Access::Accepted(_) => "ACCEPTED",
            Access::Rejected => "REJECTED",
            Access::Revoked => "REVOKED",
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        matches!(self.mapping, Mapping::Active(_))
    }

    /// Returns true if the client agrees to be related.
    pub(crate) fn is_agreed(&self) -> bool {
        self.is_active() || self.contacted
    }

    /// Returns true if the client has ever agreed to be related, which shows the name to the therapist.
    pub(crate) const fn is_acquainted(&self) -> bool {
        self.was_mapped || self.was_contacted
    }

    /// Records contact by the client.
    pub(crate) fn contact(&mut self) {
        self.contacted = true;
        self.was_contacted = true;
        self.reopen();
    }

    fn reopen(&mut self) {
        self.closed = false;
        self.mapping_rejections.clear();
        self.access_rejections.clear();
    }

    /// Checks that earlier answers of the client allow the therapist to ask.
    fn may_ask(&self, act: &Act, now: Ms) -> Result<(), Refusal> {
        let rejections = if matches!(act, Act::RequestMapping) {
            &self.mapping_rejections
        } else if matches!(act, Act::RequestAccess) {
            &self.access_rejections
        } else {
            return Ok(());
        };
        if self.closed {
            return Err(NOT_FOUND);
        }
        if rejections.len() >= MOST_REJECTIONS {
            return Err((400, "REJECTED_TOO_OFTEN"));
        }
        let waits = rejections.last().is_some_and(|at| now < at + PAUSE);
        if waits { Err((400, "ASK_AGAIN_LATER")) } else { Ok(()) }
    }

    pub(crate) fn mapped_since(&self) -> Option<Ms> {
        if let Mapping::Active(since) = self.mapping { Some(since) } else { None }
    }

    /// Returns the grant if it is valid now.
    pub(crate) fn grant(&self, now: Ms) -> Option<&Grant> {
        let Access::Accepted(grant) = &self.access else { return None };
        (self.access_status(now) == "ACCEPTED").then_some(grant)
    }

    /// Returns the kind and time of the pending request.
    pub(crate) fn pending(&self, now: Ms) -> Option<(&'static str, Ms)> {
        match (&self.mapping, &self.access) {
            (Mapping::Requested(at), _) if now < at + WAIT => Some(("MAPPING", *at)),
            (_, Access::Pending(at)) if now < at + WAIT => Some(("JOURNAL_ACCESS", *at)),
            _ => None,
        }
    }

    /// Sets the id of a new grant; an existing id is kept.
    pub(crate) fn name_grant(&mut self, id: &str) {
        if let Access::Accepted(grant) = &mut self.access
            && grant.id.is_empty()
        {
            id.clone_into(&mut grant.id);
        }
    }

    /// Applies an action if the present state allows it.
    pub(crate) fn play(&mut self, act: Act, now: Ms) -> Result<(), Refusal> {
        const NOT_MAPPED: Refusal = (400, "NOT_MAPPED");
        const NO_PENDING_REQUEST: Refusal = (400, "NO_PENDING_REQUEST");
        self.may_ask(&act, now)?;
        let (mapping, access) = (self.mapping_status(now), self.access_status(now));
        match (act, mapping, access) {
            (Act::Map | Act::RequestMapping, "ACTIVE", _) => return Err((409, "MAPPING_EXISTS")),
            (Act::RequestMapping, "REQUESTED", _) => return Err((409, "REQUEST_PENDING")),
            (Act::Map, ..) | (Act::AcceptMapping, "REQUESTED", _) => {
                self.mapping = Mapping::Active(now);
                self.reopen();
            }
            (Act::RequestMapping, ..) => self.mapping = Mapping::Requested(now),

            (Act::RejectMapping, "REQUESTED", _) => {
                self.mapping = Mapping::Rejected;
                self.mapping_rejections.push(now);
            }
            (Act::AcceptMapping, "ACTIVE", _) | (Act::RejectMapping, "REJECTED", _) => {}
            (Act::AcceptMapping | Act::RejectMapping, ..) => return Err(NO_PENDING_REQUEST),

            (Act::End(true), mapping, access) => {
                // The client's end of a request is a rejection.
                let refused = matches!(mapping, "REQUESTED" | "REJECTED");
                self.mapping = if refused { Mapping::Rejected } else { Mapping::Ended };
                if matches!(access, "ACCEPTED" | "PENDING") {
                    self.access = Access::Revoked;
                }
                (self.closed, self.contacted) = (true, false);
            }
            (Act::End(false), "ACTIVE", access) => {
                self.mapping = Mapping::Ended;
                if matches!(access, "ACCEPTED" | "PENDING") {
                    self.access = Access::Revoked;
                }
            }
            // The therapist's end of a request withdraws it.
            (Act::End(false), "REQUESTED", _) => self.mapping = Mapping::Ended,
            (Act::End(false), "ENDED", _) => {}
            (Act::End(false), ..) => return Err(NOT_MAPPED),

            (Act::RequestAccess | Act::Grant(_), "NONE" | "REQUESTED" | "REJECTED" | "EXPIRED" | "ENDED", _) => {
                return Err(NOT_MAPPED);
            }
            (Act::RequestAccess, _, "PENDING") => return Err((409, "REQUEST_PENDING")),
            (Act::RequestAccess, _, "ACCEPTED") => return Err((409, "JOURNAL_ACCESS_EXISTS")),
            (Act::RequestAccess, ..) => self.access = Access::Pending(now),
            // A grant with the same limits is kept; other limits make a new one.
            (Act::Grant(new), _, "ACCEPTED") if self.grant(now).is_some_and(|grant| grant.covers_as(&new)) => {}
            (Act::Grant(grant), ..) => {
                self.access = Access::Accepted(grant);
                self.access_rejections.clear();
            }
            (Act::RejectAccess, _, "PENDING") => {
                self.access = Access::Rejected;
                self.access_rejections.push(now);
            }
            (Act::RejectAccess, _, "REJECTED") => {}
            (Act::RejectAccess, ..) => return Err(NO_PENDING_REQUEST),
            (Act::EndAccess, _, "ACCEPTED" | "EXPIRED") => self.access = Access::Revoked,
            (Act::EndAccess, _, "REVOKED") => {}
            (Act::EndAccess, ..) => return Err((400, "NO_JOURNAL_ACCESS")),
        }
        self.was_mapped |= self.is_active();
        Ok(())
    }
}

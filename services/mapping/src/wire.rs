//! Converts between the messages of the protos and the types of the domain, and reports violations by field.

use kernel::{ClientId, Error, FieldError, FieldReason, TherapistId, Timestamp, Violations};
use peers::TherapistName;
use proto::mapping::v1 as pb;

use crate::model::{Channel, ContactOutcome, Grant, Intent, Limits, Relation, Wanted, request_ends};
use crate::searchable::SearchableClients;
use crate::transition::{Access, Mapping};

/// Names of what a therapist can ask for.
pub(crate) const REQUEST_TYPES: [&str; 2] = ["MAPPING", "JOURNAL_ACCESS"];
/// Names of a client's answers to a request.
const ANSWERS: [&str; 2] = ["ACCEPTED", "REJECTED"];
/// Names of a client's decisions on access to the journal.
const DECISIONS: [&str; 3] = ["ACCEPTED", "REJECTED", "REVOKED"];

/// Parses the therapist's id in a client's request.
pub(crate) fn therapist_id(id: &str) -> Result<TherapistId, Error> {
    convert::id::from_proto(id).map_err(|wrong| Error::invalid("therapistId", wrong))
}

/// Parses the client's id in a therapist's request.
pub(crate) fn client_id(id: &str) -> Result<ClientId, Error> {
    convert::id::from_proto(id).map_err(|wrong| Error::invalid("clientId", wrong))
}

/// Parses the type of a therapist's request.
pub(crate) fn request_type(request_type: i32) -> Result<pb::RequestType, Error> {
    match pb::RequestType::try_from(request_type) {
        Ok(asked @ (pb::RequestType::Mapping | pb::RequestType::JournalAccess)) => Ok(asked),
        Ok(pb::RequestType::Unspecified) => {
            Err(Error::invalid("requestType", FieldError::missing_one_of(&REQUEST_TYPES)))
        }
        Err(_) => Err(Error::invalid("requestType", FieldError::not_one_of(&REQUEST_TYPES))),
    }
}

/// Parses a client's answer to a mapping request.
pub(crate) fn answer(therapist: &str, answer: Option<pb::MappingAnswer>) -> Result<(TherapistId, Intent), Error> {
    let mut bad = Violations::default();
    let therapist = bad.check("therapistId", convert::id::from_proto(therapist));
    let pb::MappingAnswer { status } = answer.unwrap_or_default();
    let intent = match pb::mapping_answer::Status::try_from(status) {
        Ok(pb::mapping_answer::Status::Accepted) => Some(Intent::Accept),
        Ok(pb::mapping_answer::Status::Rejected) => Some(Intent::Reject),
        Ok(pb::mapping_answer::Status::Unspecified) => bad.check("status", Err(FieldError::missing_one_of(&ANSWERS))),
        Err(_) => bad.check("status", Err(FieldError::not_one_of(&ANSWERS))),
    };
    therapist.zip(intent).ok_or_else(|| bad.into_error())
}

/// Parses a client's change of a therapist's access.
pub(crate) fn access_change(
    therapist: &str,
    change: Option<pb::JournalAccessChange>,
    now: Timestamp,
) -> Result<(TherapistId, Intent), Error> {
    use pb::journal_access::Status;
    let mut bad = Violations::default();
    let therapist = bad.check("therapistId", convert::id::from_proto(therapist));
    let pb::JournalAccessChange { access, entries_from, expires_at } = change.unwrap_or_default();
    let access = Status::try_from(access);
    let limited = [("entriesFrom", entries_from.is_some()), ("expiresAt", expires_at.is_some())];
    if access != Ok(Status::Accepted) {
        for (field, _) in limited.iter().filter(|(_, is_there)| *is_there) {
            bad.add(*field, FieldError::new(FieldReason::NotAllowed, "is only for access ACCEPTED: leave it out"));
        }
    }
    let entries_from = entries_from.and_then(|from| bad.check("entriesFrom", convert::time::utc_from_proto(from)));
    let expires_at = expires_at.and_then(|at| bad.check("expiresAt", convert::time::utc_from_proto(at)));
    if access == Ok(Status::Accepted) && expires_at.is_some_and(|at| at <= now.into()) {
        bad.add("expiresAt", FieldError::new(FieldReason::OutOfRange, "must be in the future"));
    }
    let intent = match access {
        Ok(Status::Accepted) => Some(Intent::Grant(Limits { entries_from, expires_at })),
        Ok(Status::Rejected) => Some(Intent::RejectAccess),
        Ok(Status::Revoked) => Some(Intent::RevokeAccess),
        Ok(Status::Unspecified) => bad.check("access", Err(FieldError::missing_one_of(&DECISIONS))),
        Ok(Status::None | Status::Pending | Status::Expired) | Err(_) => {
            bad.check("access", Err(FieldError::not_one_of(&DECISIONS)))
        }
    };
    match therapist.zip(intent) {
        Some(change) if bad.is_empty() => Ok(change),
        _ => Err(bad.into_error()),
    }
}

/// Parses the channel of a contact.
pub(crate) fn channel(kind: i32) -> Result<Channel, Error> {
    use pb::record_contact_request::Kind;
    match Kind::try_from(kind) {
        Ok(Kind::Message) => Ok(Channel::Message),
        Ok(Kind::Appointment) => Ok(Channel::Appointment),
        Ok(Kind::Unspecified) | Err(_) => {
            Err(Error::invalid("kind", FieldError::not_one_of(&["MESSAGE", "APPOINTMENT"])))
        }
    }
}

pub(crate) fn contact_outcome(outcome: ContactOutcome) -> pb::RecordContactResponse {
    use pb::record_contact_response::Outcome;
    let (outcome, version) = match outcome {
        ContactOutcome::Recorded(version) => (Outcome::Recorded, version),
        ContactOutcome::NoSuchPeer => (Outcome::NoSuchPeer, 0),
        ContactOutcome::CallerEnded => (Outcome::CallerEnded, 0),
        ContactOutcome::CallerWithoutProfile => (Outcome::CallerWithoutProfile, 0),
    };
    pb::RecordContactResponse { outcome: outcome.into(), version }
}

pub(crate) fn journal_grant(client: ClientId, grant: Grant) -> pb::JournalGrant {
    let Grant { id, limits: Limits { entries_from, expires_at: _ } } = grant;
    pb::JournalGrant {
        client_id: client.to_string(),
        grant_id: id.to_string(),
        entries_from: entries_from.map(convert::time::utc_to_proto),
    }
}

pub(crate) fn searchable_clients(
    found: &SearchableClients,
    with_agreement: bool,
    now: Timestamp,
) -> pb::ListSearchableClientsResponse {
    let relations = match found {
        SearchableClients::Found(relations) => relations,
        SearchableClients::TooMany => {
            return pb::ListSearchableClientsResponse { too_many: true, clients: Vec::new() };
        }
    };
    let client = |it: &Relation| pb::SearchableClient {
        client_id: it.client_id.to_string(),
        agreed_since: it.agreed_since(now).filter(|_| with_agreement).map(convert::time::to_proto),
        grant: it.grant_at(now).map(|grant| journal_grant(it.client_id, grant)),
    };
    pb::ListSearchableClientsResponse { too_many: false, clients: relations.iter().map(client).collect() }
}

/// Parses the requested page.
pub(crate) fn wanted(page_size: i32, token: &str) -> Result<Wanted<'_>, Error> {
    let size = convert::page::size_from_proto(page_size).map_err(|wrong| Error::invalid("pageSize", wrong))?;
    Ok(Wanted { size, token })
}

const fn mapping_status(mapping: Mapping) -> pb::mapping::Status {
    use pb::mapping::Status;
    match mapping {
        Mapping::None => Status::None,
        Mapping::Requested => Status::Requested,
        Mapping::Active => Status::Active,
        Mapping::Rejected => Status::Rejected,
        Mapping::Expired => Status::Expired,
        Mapping::Ended => Status::Ended,
    }
}

const fn access_status(access: Access) -> pb::journal_access::Status {
    use pb::journal_access::Status;
    match access {
        Access::None => Status::None,
        Access::Pending => Status::Pending,
        Access::Accepted => Status::Accepted,
        Access::Rejected => Status::Rejected,
        Access::Expired => Status::Expired,
        Access::Revoked => Status::Revoked,
    }
}

pub(crate) fn relation(relation: &Relation, now: Timestamp) -> pb::Relation {
    let state = relation.at(now);
    let grant = relation.grant_at(now);
    let (entries_from, expires_at) = limits(grant);
    pb::Relation {
        client_id: relation.client_id.to_string(),
        therapist_id: relation.therapist_id.to_string(),
        mapping_status: mapping_status(state.mapping).into(),
        journal_access: access_status(state.access).into(),
        mapped_since: (state.mapping == Mapping::Active).then(|| convert::time::to_proto(relation.mapping_since)),
        access_since: grant.is_some().then(|| convert::time::to_proto(relation.access_since)),
        grant_id: grant.map(|grant| grant.id.to_string()).unwrap_or_default(),
        entries_from,
        expires_at,
    }
}

fn limits(grant: Option<Grant>) -> (Option<prost_types::Timestamp>, Option<prost_types::Timestamp>) {
    let limits = grant.map(|grant| grant.limits).unwrap_or_default();
    (limits.entries_from.map(convert::time::utc_to_proto), limits.expires_at.map(convert::time::utc_to_proto))
}

pub(crate) fn therapist_relation(it: &Relation, name: TherapistName, now: Timestamp) -> pb::TherapistRelation {
    let TherapistName { name: therapist_name, specialty } = name;
    let pb::Relation {
        client_id: _,
        therapist_id,
        mapping_status,
        journal_access,
        mapped_since,
        access_since,
        grant_id,
        entries_from,
        expires_at,
    } = relation(it, now);
    pb::TherapistRelation {
        therapist_id,
        therapist_name,
        specialty,
        mapping_status,
        journal_access,
        mapped_since,
        access_since,
        grant_id,
        entries_from,
        expires_at,
    }
}

pub(crate) fn client_relation(it: &Relation, client_name: String, now: Timestamp) -> pb::ClientRelation {
    let pb::Relation {
        client_id,
        therapist_id: _,
        mapping_status,
        journal_access,
        mapped_since,
        access_since,
        grant_id,
        entries_from,
        expires_at,
    } = relation(it, now);
    pb::ClientRelation {
        client_id,
        client_name,
        mapping_status,
        journal_access,
        mapped_since,
        access_since,
        grant_id,
        entries_from,
        expires_at,
    }
}

/// Returns the pending request of a relation. A listed relation has exactly one of the two kinds.
pub(crate) fn consent_request(it: &Relation, name: TherapistName, now: Timestamp) -> pb::ConsentRequest {
    let TherapistName { name: therapist_name, specialty } = name;
    let (request_type, requested_at) = if it.at(now).mapping == Mapping::Requested {
        (pb::RequestType::Mapping, it.mapping_since)
    } else {
        (pb::RequestType::JournalAccess, it.access_since)
    };
    pb::ConsentRequest {
        therapist_id: it.therapist_id.to_string(),
        therapist_name,
        specialty,
        request_type: request_type.into(),
        requested_at: Some(convert::time::to_proto(requested_at)),
        expires_at: Some(convert::time::to_proto(request_ends(requested_at))),
    }
}

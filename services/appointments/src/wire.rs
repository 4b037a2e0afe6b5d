//! Converts between the messages of the proto and the types of the domain, and reports violations by field.

use kernel::{
    AppointmentId, Error, FieldError, FieldReason, OffsetDateTime, Page, Party, Role, Timestamp, UserId, Violations,
};
use proto::appointments::v1 as pb;
use proto::appointments::v1::appointment::Status as Shown;
use proto::events::v1 as events;

use crate::error;
use crate::model::{Appointment, Booked, Pair, RelationEnded, Request, Start, Wanted, Withdrawn};
use crate::transition::{Action, Status};

/// Parses a `CreateAppointment` request.
///
/// # Errors
/// INVALID_ARGUMENT names every bad field.
pub(crate) fn request(caller: UserId, request: &pb::CreateAppointmentRequest) -> Result<Request, Error> {
    let pb::CreateAppointmentRequest { therapist_id, appointment_date, session_id, client_id: _ } = request;
    let mut bad = Violations::default();
    let therapist = bad.check("therapistId", convert::id::from_proto(therapist_id));
    if therapist_id.parse() == Ok(caller) {
        bad.add("therapistId", FieldError::new(FieldReason::Unsuitable, "must be a therapist, and not you"));
    }
    let date = if appointment_date.is_empty() {
        bad.add("appointmentDate", FieldError::REQUIRED);
        None
    } else {
        bad.check("appointmentDate", appointment_date.parse().map(OffsetDateTime::to_millisecond))
    };
    let session = bad.check("sessionId", convert::id::optional_from_proto(session_id));
    match (therapist, date, session) {
        (Some(therapist), Some(date), Some(session)) if bad.is_empty() => Ok(Request { therapist, date, session }),
        _ => Err(bad.into_error()),
    }
}

/// Names of the statuses that can be requested.
const ANSWERS: [&str; 3] = ["ACCEPTED", "REJECTED", "REVOKED"];

/// Parses the action that leads to a requested status.
pub(crate) fn action(status: i32) -> Result<Action, Error> {
    match Shown::try_from(status) {
        Ok(Shown::Accepted) => Ok(Action::Accept),
        Ok(Shown::Rejected) => Ok(Action::Reject),
        Ok(Shown::Revoked) => Ok(Action::Revoke),
        Ok(Shown::Unspecified) => Err(Error::invalid("status", FieldError::missing_one_of(&ANSWERS))),
        Ok(Shown::Pending | Shown::Expired) | Err(_) => Err(Error::invalid("status", FieldError::not_one_of(&ANSWERS))),
    }
}

/// Parses the appointment id of a path. An invalid id is answered like an unknown one.
pub(crate) fn id(id: &str) -> Result<AppointmentId, Error> {
    id.parse().map_err(|_| error::no_appointment())
}

/// Parses the page and the filters of a `ListAppointments` request.
///
/// # Errors
/// INVALID_ARGUMENT names every bad filter.
pub(crate) fn wanted(role: Role, request: pb::ListAppointmentsRequest) -> Result<Wanted, Error> {
    let pb::ListAppointmentsRequest { client_id, therapist_id, status, page_size, page_token: token } = request;
    let mut bad = Violations::default();
    let peer = match role {
        Role::Client => {
            let id = bad.check("therapistId", convert::id::optional_from_proto(&therapist_id));
            id.flatten().map(Party::Therapist)
        }
        Role::Therapist => {
            let id = bad.check("clientId", convert::id::optional_from_proto(&client_id));
            id.flatten().map(Party::Client)
        }
    };
    let status = match Shown::try_from(status) {
        Ok(Shown::Unspecified) => None,
        Ok(Shown::Pending) => Some(Status::Pending),
        Ok(Shown::Accepted) => Some(Status::Accepted),
        Ok(Shown::Rejected) => Some(Status::Rejected),
        Ok(Shown::Expired) => Some(Status::Expired),
        Ok(Shown::Revoked) => Some(Status::Revoked),
        Err(_) => {
            bad.add("status", FieldError::not_one_of(&["PENDING", "ACCEPTED", "REJECTED", "EXPIRED", "REVOKED"]));
            None
        }
    };
    let size = bad.check("pageSize", convert::page::size_from_proto(page_size));
    match size {
        Some(size) if bad.is_empty() => Ok(Wanted { peer, status, size, token }),
        _ => Err(bad.into_error()),
    }
}

/// Parses the event of a booking.
///
/// # Errors
/// INVALID_ARGUMENT names every missing or invalid field.
pub(crate) fn session_booked(booked: &events::SessionBooked) -> Result<Booked, Error> {
    let mut bad = Violations::default();
    let session = bad.check("event.sessionBooked.sessionId", convert::id::from_proto(&booked.session_id));
    let therapist = bad.check("event.sessionBooked.therapistId", convert::id::from_proto(&booked.therapist_id));
    let client = bad.check("event.sessionBooked.clientId", convert::id::from_proto(&booked.client_id));
    let appointment = bad.check("event.sessionBooked.appointmentId", convert::id::from_proto(&booked.appointment_id));
    let start = booked.start.ok_or(NO_TIME).and_then(|start| convert::time::from_proto(start).map_err(|_| NO_TIME));
    let start = bad.check("event.sessionBooked.start", start);
    let date = bad.check("event.sessionBooked.startDate", booked.start_date.parse());
    match (session, therapist.zip(client), appointment, start.zip(date)) {
        (Some(session), Some((therapist, client)), Some(appointment), Some((start, date))) => Ok(Booked {
            session,
            appointment,
            pair: Pair { client, therapist },
            starts: Start::of(start),
            date,
            unasked: booked.unasked,
        }),
        _ => Err(bad.into_error()),
    }
}

/// Parses the event of a withdrawal.
///
/// # Errors
/// INVALID_ARGUMENT names every missing or invalid field.
pub(crate) fn session_withdrawn(withdrawn: &events::SessionWithdrawn) -> Result<Withdrawn, Error> {
    let mut bad = Violations::default();
    let session = bad.check("event.sessionWithdrawn.sessionId", convert::id::from_proto(&withdrawn.session_id));
    let appointment = convert::id::optional_from_proto(&withdrawn.appointment_id);
    let appointment = bad.check("event.sessionWithdrawn.appointmentId", appointment);
    session
        .zip(appointment)
        .map(|(session, appointment)| Withdrawn { session, appointment, available: withdrawn.available })
        .ok_or_else(|| bad.into_error())
}

/// Parses the event of the end of a relation.
///
/// # Errors
/// INVALID_ARGUMENT names every missing or invalid field.
pub(crate) fn relation_ended(ended: &events::RelationEnded) -> Result<RelationEnded, Error> {
    let events::RelationEnded { client_id, therapist_id, version } = ended;
    let mut bad = Violations::default();
    let client = bad.check("event.relationEnded.clientId", convert::id::from_proto(client_id));
    let therapist = bad.check("event.relationEnded.therapistId", convert::id::from_proto(therapist_id));
    let pair = client.zip(therapist).map(|(client, therapist)| Pair { client, therapist });
    let pair = pair.ok_or_else(|| bad.into_error())?;
    Ok(RelationEnded { pair, version: *version })
}

const NO_TIME: FieldError = FieldError::new(FieldReason::Malformed, "is no time");

const fn shown(status: Status) -> Shown {
    match status {
        Status::Pending => Shown::Pending,
        Status::Accepted => Shown::Accepted,
        Status::Rejected => Shown::Rejected,
        Status::Expired => Shown::Expired,
        Status::Revoked => Shown::Revoked,
    }
}

pub(crate) fn appointment(it: &Appointment, now: Timestamp) -> pb::Appointment {
    pb::Appointment {
        appointment_id: it.id.to_string(),
        client_id: it.pair.client.to_string(),
        therapist_id: it.pair.therapist.to_string(),
        session_id: it.session.to_string(),
        appointment_date: it.date.to_string(),
        status: shown(it.status_at(now)).into(),
        created_at: Some(convert::time::to_proto(it.created_at)),
        etag: it.etag_at(now),
    }
}

pub(crate) fn status(it: &Appointment, now: Timestamp) -> pb::AppointmentStatus {
    pb::AppointmentStatus { appointment_id: it.id.to_string(), status: shown(it.status_at(now)).into() }
}

pub(crate) fn appointments(page: Page<Appointment>, now: Timestamp) -> pb::ListAppointmentsResponse {
    let (appointments, next_page_token) = convert::page::to_proto(page.map(|it| appointment(&it, now)));
    pb::ListAppointmentsResponse { appointments, next_page_token }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(error: &Error) -> Vec<&str> {
        error.violations().iter().map(|bad| &*bad.field).collect()
    }

    #[test]
    fn request_reports_every_bad_field() {
        let [caller, other] = [1, 0xab].map(|byte| UserId::from_bytes([byte; 16]).to_string());
        let capitals = other.to_uppercase();
        let date = "2026-12-01T09:00:00+05:30";
        for (therapist, date, session, bad) in [
            (other.as_str(), date, "", vec![]),
            (&other, date, &other, vec![]),
            (&capitals, date, &capitals, vec![]),
            ("", "", "", vec!["therapistId", "appointmentDate"]),
            ("x", "2026-12-01T09:00:00", "x", vec!["therapistId", "appointmentDate", "sessionId"]),
            (&caller, "2026-12-01", &other, vec!["therapistId", "appointmentDate"]),
            (&caller, date, "", vec!["therapistId"]),
        ] {
            let asked = pb::CreateAppointmentRequest {
                therapist_id: therapist.to_owned(),
                appointment_date: date.to_owned(),
                session_id: session.to_owned(),
                client_id: String::new(),
            };
            match request(caller.parse().unwrap(), &asked) {
                Ok(request) => {
                    assert_eq!(bad, Vec::<&str>::new());
                    assert_eq!(request.date.to_string(), date);
                    assert_eq!(request.session.is_some(), !session.is_empty());
                }
                Err(error) => assert_eq!(fields(&error), bad, "{therapist} {date} {session}"),
            }
        }
    }

    #[test]
    fn list_reports_every_bad_filter() {
        let asked = pb::ListAppointmentsRequest {
            client_id: "x".to_owned(),
            therapist_id: "y".to_owned(),
            status: 99,
            page_size: -1,
            page_token: String::new(),
        };
        for (role, peer) in [(Role::Client, "therapistId"), (Role::Therapist, "clientId")] {
            let refused = wanted(role, asked.clone()).unwrap_err();
            assert_eq!(fields(&refused), [peer, "status", "pageSize"], "{role}");
        }
    }

    #[test]
    fn only_accepted_rejected_and_revoked_can_be_set() {
        for (status, expected) in [
            (Shown::Accepted, Some(Action::Accept)),
            (Shown::Rejected, Some(Action::Reject)),
            (Shown::Revoked, Some(Action::Revoke)),
            (Shown::Pending, None),
            (Shown::Expired, None),
            (Shown::Unspecified, None),
        ] {
            assert_eq!(action(status.into()).ok(), expected, "{status:?}");
        }
        assert_eq!(fields(&action(99).unwrap_err()), ["status"]);
    }

    #[test]
    fn incomplete_event_is_refused() {
        assert!(session_booked(&events::SessionBooked::default()).is_err());
        assert!(session_withdrawn(&events::SessionWithdrawn::default()).is_err());
        assert!(relation_ended(&events::RelationEnded::default()).is_err());
    }
}

//! Converts between proto messages and domain types, naming every field.

use kernel::{
    Error, Expected, FieldError, FieldReason, FreeText, OffsetDateTime, Page, Result, SessionId, Timestamp, Violations,
    zip_violations,
};
use proto::sessions::v1 as pb;

use crate::change::reject_past_start;
use crate::error;
use crate::model::{
    Change, ClientSession, Draft, List, NotesChange, NotesText, OwnSession, Range, Session, SessionQuery, Status,
};
use crate::slot::{HourMinute, Slot, SlotSpec};

/// Converts a new session. Output-only fields are ignored.
///
/// # Errors
/// INVALID_ARGUMENT names every bad field; NOT_FOUND for an invalid client id.
pub(crate) fn draft(session: pb::Session, now: Timestamp) -> Result<Draft> {
    let pb::Session {
        session_id: _,
        therapist_id: _,
        client_id,
        session_date,
        start_time,
        end_time,
        status: _,
        shared_notes,
        private_notes,
        etag: _,
    } = session;
    let mut bad = Violations::default();
    let date = bad.check("sessionDate", required(session_date).and_then(|text| session_day(&text)));
    let start = times(&mut bad, "startTime", start_time);
    let end = bad.check("endTime", required(end_time).and_then(|text| text.parse::<HourMinute>()));
    let slot = match (date, start, end) {
        (Some(date), Some(start), Some(end)) => {
            Slot::new(SlotSpec { date, start, end }).map_err(|(field, wrong)| bad.add(field, wrong)).ok()
        }
        _ => None,
    };
    if let Some(slot) = slot {
        reject_past_start(slot, now, &mut bad);
    }
    let shared_notes = bad.check("sharedNotes", FreeText::try_from(shared_notes.unwrap_or_default()));
    let private_notes = bad.check("privateNotes", FreeText::try_from(private_notes.unwrap_or_default()));
    match (slot, shared_notes, private_notes) {
        (Some(slot), Some(shared_notes), Some(private_notes)) if bad.is_empty() => {
            let client =
                if client_id.is_empty() { None } else { Some(client_id.parse().map_err(|_| error::no_client())?) };
            Ok(Draft { slot, client, shared_notes, private_notes })
        }
        _ => Err(bad.into_error()),
    }
}

/// Returns a text that must be there and not be empty.
fn required(text: Option<String>) -> std::result::Result<String, FieldError> {
    text.filter(|text| !text.is_empty()).ok_or(FieldError::REQUIRED)
}

/// Converts a change of the session that the path names; its etag is added to what is expected already.
///
/// # Errors
/// INVALID_ARGUMENT names every bad field.
pub(crate) fn change(session: pb::Session, id: SessionId, expected: &Expected) -> Result<Change> {
    let pb::Session {
        session_id,
        therapist_id: _,
        client_id,
        session_date,
        start_time,
        end_time,
        status,
        shared_notes,
        private_notes,
        etag,
    } = session;
    let mut bad = Violations::default();
    if !session_id.is_empty() && session_id.parse() != Ok(id) {
        bad.add("sessionId", FieldError::new(FieldReason::Mismatch, "must be the id of the path, or be left out"));
    }
    let date = session_date.map(|text| bad.check("sessionDate", session_day(&text)));
    let start = times(&mut bad, "startTime", start_time);
    let end = times(&mut bad, "endTime", end_time);
    let status = bad.check("status", requested_status(status));
    let notes = notes_change(&mut bad, shared_notes, private_notes);
    let changed = Change {
        date: date.flatten(),
        start: start.flatten(),
        end: end.flatten(),
        status: status.flatten(),
        client: Some(client_id).filter(|id| !id.is_empty()),
        notes,
        expected: Expected::Anything,
    };
    expecting(changed, bad, expected, &etag)
}

/// Converts a change of the notes of a session.
///
/// # Errors
/// As [`change`].
pub(crate) fn notes(notes: pb::Notes, expected: &Expected) -> Result<Change> {
    let pb::Notes { private_notes, shared_notes, etag } = notes;
    let mut bad = Violations::default();
    let notes = notes_change(&mut bad, shared_notes, private_notes);
    expecting(Change { notes, ..Change::default() }, bad, expected, &etag)
}

/// Adds what a change expects, if no field is bad.
fn expecting(change: Change, bad: Violations, expected: &Expected, etag: &str) -> Result<Change> {
    let fields = if bad.is_empty() { Ok(()) } else { Err(bad.into_error()) };
    let ((), expected) = zip_violations(fields, expected.and_etag(etag))?;
    Ok(Change { expected, ..change })
}

fn notes_change(bad: &mut Violations, shared: Option<String>, private: Option<String>) -> NotesChange {
    let shared = shared.map(|text| bad.check("sharedNotes", FreeText::try_from(text)));
    let private = private.map(|text| bad.check("privateNotes", FreeText::try_from(text)));
    NotesChange { shared: shared.flatten(), private: private.flatten() }
}

/// Parses the day of a session, which is kept to the millisecond.
fn session_day(text: &str) -> std::result::Result<OffsetDateTime, FieldError> {
    text.parse().map(OffsetDateTime::to_millisecond)
}

/// Parses an optional time; None if it is invalid, Some(None) if it is absent.
#[allow(clippy::option_option, reason = "absent and invalid are two things")]
fn times(bad: &mut Violations, field: &'static str, text: Option<String>) -> Option<Option<HourMinute>> {
    match text {
        None => Some(None),
        Some(text) => bad.check(field, text.parse()).map(Some),
    }
}

/// Converts a list request.
///
/// # Errors
/// INVALID_ARGUMENT names every bad field.
pub(crate) fn list(request: pb::ListSessionsRequest) -> Result<List> {
    let pb::ListSessionsRequest { therapist_id, client_id, status, after_date, before_date, page_size, page_token } =
        request;
    let mut bad = Violations::default();
    let therapist = bad.check("therapistId", convert::id::optional_from_proto(&therapist_id));
    let client = bad.check("clientId", convert::id::optional_from_proto(&client_id));
    let status = bad.check("status", requested_status(status));
    let range = range(&mut bad, after_date, before_date);
    let size = bad.check("pageSize", convert::page::size_from_proto(page_size));
    match (therapist, client, status, range, size) {
        (Some(therapist), Some(client), Some(status), Some(range), Some(size)) if bad.is_empty() => {
            Ok(List { therapist, client, query: SessionQuery { status, range, size, token: page_token } })
        }
        _ => Err(bad.into_error()),
    }
}

/// Parses a range of starts. Sessions start at whole minutes, so that its bounds can be rounded up to whole seconds.
fn range(
    bad: &mut Violations,
    after: Option<prost_types::Timestamp>,
    before: Option<prost_types::Timestamp>,
) -> Option<Range> {
    let (after, before) = (("afterDate", after), ("beforeDate", before));
    let (from, to) = convert::range::from_proto(bad, after, before, convert::time::second_from_proto)?;
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        bad.add("beforeDate", FieldError::new(FieldReason::OutOfRange, "must be later than afterDate"));
    }
    Some(Range { from, to })
}

/// Parses the id of the session that a path names.
pub(crate) fn session_id(text: &str) -> Result<SessionId> {
    text.parse().map_err(|_| error::no_session())
}

/// Converts a session as its therapist sees it. Only this function puts private notes into a response.
pub(crate) fn own(OwnSession { session, shared_notes, private_notes }: OwnSession) -> pb::Session {
    let (private_notes, etag) = (Some(private_notes.into()), session.version.to_string());
    pb::Session { private_notes, etag, ..message(&session, shared_notes) }
}

/// Converts a session as a client sees it, without its version, which would reveal the number of writes of private
/// notes.
pub(crate) fn seen(ClientSession { session, shared_notes }: ClientSession) -> pb::Session {
    message(&session, shared_notes)
}

fn message(session: &Session, shared_notes: FreeText) -> pb::Session {
    let Session { id, therapist, slot, state, version: _ } = session;
    pb::Session {
        session_id: id.to_string(),
        therapist_id: therapist.to_string(),
        client_id: state.client().map(|client| client.to_string()).unwrap_or_default(),
        session_date: Some(slot.spec().date.to_string()),
        start_time: Some(slot.start_time().to_string()),
        end_time: Some(slot.spec().end.to_string()),
        status: match state.status() {
            Status::Available => pb::SessionStatus::Available,
            Status::Booked => pb::SessionStatus::Booked,
            Status::Cancelled => pb::SessionStatus::Cancelled,
        }
        .into(),
        shared_notes: Some(shared_notes.into()),
        private_notes: Some(String::new()),
        etag: String::new(),
    }
}

/// Converts the notes of a session for search.
pub(crate) fn notes_text(notes: NotesText) -> pb::NotesText {
    let NotesText { session, therapist, client, start, version, private_notes, shared_notes } = notes;
    pb::NotesText {
        session_id: session.to_string(),
        therapist_id: therapist.to_string(),
        client_id: client.map(|client| client.to_string()).unwrap_or_default(),
        start: Some(convert::time::to_proto(start)),
        version: convert::version::to_proto(version),
        private_notes: private_notes.into(),
        shared_notes: shared_notes.into(),
    }
}

pub(crate) fn page(page: Page<pb::Session>) -> pb::ListSessionsResponse {
    let (sessions, next_page_token) = convert::page::to_proto(page);
    pb::ListSessionsResponse { sessions, next_page_token }
}

/// Parses the status of a request; None if it is unspecified.
fn requested_status(status: i32) -> std::result::Result<Option<Status>, FieldError> {
    match pb::SessionStatus::try_from(status) {
        Ok(pb::SessionStatus::Unspecified) => Ok(None),
        Ok(pb::SessionStatus::Available) => Ok(Some(Status::Available)),
        Ok(pb::SessionStatus::Booked) => Ok(Some(Status::Booked)),
        Ok(pb::SessionStatus::Cancelled) => Ok(Some(Status::Cancelled)),
        Err(_) => Err(FieldError::not_one_of(&["AVAILABLE", "BOOKED", "CANCELLED"])),
    }
}

/// Converts an instant of a message between services.
///
/// # Errors
/// INVALID_ARGUMENT when it is out of range.
pub(crate) fn instant(field: &'static str, instant: prost_types::Timestamp) -> Result<Timestamp> {
    convert::time::from_proto(instant).map_err(|wrong| Error::invalid(field, wrong))
}

#[cfg(test)]
mod tests {
    use kernel::{AppointmentId, ClientId, Kind, TherapistId, Version};

    use super::*;
    use crate::model::{Booking, State};

    fn now() -> Timestamp {
        "2026-12-01T08:00:00Z".parse().unwrap()
    }

    fn fields(error: &Error) -> Vec<&str> {
        error.violations().iter().map(|violation| &*violation.field).collect()
    }

    fn sent(date: &str, start: &str, end: &str) -> pb::Session {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let (session_date, start_time, end_time) = (some(date), some(start), some(end));
        pb::Session { session_date, start_time, end_time, ..pb::Session::default() }
    }

    #[test]
    fn draft_reports_every_bad_field() {
        let long = || Some("x".repeat(10_001));
        let noted = |session| pb::Session { shared_notes: long(), private_notes: long(), ..session };
        for (session, expected) in [
            (sent("", "", ""), &["sessionDate", "endTime"][..]),
            (sent("2026-12-02T09:00:00", "", "10:00"), &["sessionDate"]),
            (sent("2026-12-02", "9:00", "24:00"), &["sessionDate", "startTime", "endTime"]),
            (sent("2026-12-02T00:00:00Z", "10:00", "09:00"), &["endTime"]),
            (sent("2026-12-01T07:59:00Z", "", "09:00"), &["sessionDate"]),
            (sent("2026-12-01T00:00:00Z", "07:59", "09:00"), &["startTime"]),
            (noted(sent("2026-12-02T09:00:01Z", "", "10:00")), &["sessionDate", "sharedNotes", "privateNotes"]),
            (noted(sent("2026-11-02T09:00:00Z", "", "10:00")), &["sessionDate", "sharedNotes", "privateNotes"]),
        ] {
            assert_eq!(fields(&draft(session.clone(), now()).unwrap_err()), expected, "{session:?}");
        }
        assert!(draft(sent("2026-12-01T08:00:00Z", "", "09:00"), now()).is_ok(), "now is not in the past");
        let nobody = pb::Session { client_id: "nobody".to_owned(), ..sent("2026-12-01T08:00:00Z", "", "09:00") };
        assert_eq!(draft(nobody, now()).unwrap_err().kind(), Kind::NotFound);
    }

    #[test]
    fn change_and_list_report_every_bad_field() {
        let session = pb::Session {
            session_id: "other".to_owned(),
            status: 7,
            private_notes: Some("\u{0}".to_owned()),
            etag: "1".to_owned(),
            ..sent("now", "soon", "later")
        };
        let expected = ["sessionId", "sessionDate", "startTime", "endTime", "status", "privateNotes", "etag"];
        let if_match = Expected::OneOf(vec![b"2".to_vec()]);
        assert_eq!(fields(&change(session, SessionId::from_bytes([1; 16]), &if_match).unwrap_err()), expected);
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let request = pb::ListSessionsRequest {
            therapist_id: "x".to_owned(),
            client_id: "y".to_owned(),
            status: -1,
            after_date: at(i64::MAX),
            before_date: at(-62_135_596_801),
            page_size: -1,
            page_token: String::new(),
        };
        let expected = ["therapistId", "clientId", "status", "afterDate", "beforeDate", "pageSize"];
        assert_eq!(fields(&list(request).unwrap_err()), expected);
        let backwards =
            pb::ListSessionsRequest { after_date: at(60), before_date: at(60), ..pb::ListSessionsRequest::default() };
        assert_eq!(fields(&list(backwards).unwrap_err()), ["beforeDate"]);
    }

    #[test]
    fn client_message_has_no_private_notes() {
        let client = ClientId::from_bytes([1; 16]);
        let spec =
            SlotSpec { date: "2026-12-01T00:00:00+05:30".parse().unwrap(), start: None, end: "10:00".parse().unwrap() };
        let session = Session {
            id: SessionId::from_bytes([2; 16]),
            therapist: TherapistId::from_bytes([3; 16]),
            slot: Slot::new(spec).unwrap(),
            state: State::Booked(Some(Booking { client, appointment: AppointmentId::from_bytes([4; 16]) })),
            version: Version::FIRST,
        };
        let notes = |text: &str| FreeText::try_from(text.to_owned()).unwrap();
        let shown = seen(ClientSession { session, shared_notes: notes("shared") });
        let whole = own(OwnSession { session, shared_notes: notes("shared"), private_notes: notes("private") });
        let expected = pb::Session {
            session_id: session.id.to_string(),
            therapist_id: session.therapist.to_string(),
            client_id: client.to_string(),
            session_date: Some("2026-12-01T00:00:00+05:30".to_owned()),
            start_time: Some("00:00".to_owned()),
            end_time: Some("10:00".to_owned()),
            status: pb::SessionStatus::Booked.into(),
            shared_notes: Some("shared".to_owned()),
            private_notes: Some(String::new()),
            etag: String::new(),
        };
        assert_eq!(shown, expected);
        let (private_notes, etag) = (Some("private".to_owned()), Version::FIRST.to_string());
        assert_eq!(whole, pb::Session { private_notes, etag, ..expected });
    }
}

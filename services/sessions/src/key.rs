//! Keys of sessions in the table and their positions in its indexes.

use dynamo::Key;
use kernel::{ClientId, SessionId, TherapistId, Timestamp};

use crate::model::Status;

/// Returns the key of a session.
pub(crate) fn session_key(id: SessionId) -> Key {
    Key::new(session_partition(id), "SESSION")
}

/// Returns the key of the item that tells search of changed notes: those that this client reads, or those that only the
/// therapist reads.
pub(crate) fn text_key(id: SessionId, client: Option<ClientId>) -> Key {
    let client = client.map(|client| client.to_string()).unwrap_or_default();
    Key::new(session_partition(id), format!("TEXT#{client}"))
}

fn session_partition(id: SessionId) -> String {
    format!("SESSION#{id}")
}

/// Returns the unique sort key of a session in the indexes, ordered by start.
pub(crate) fn position(start: Timestamp, id: SessionId) -> String {
    format!("{}#{id}", instant(start))
}

/// Formats an instant as the prefix of a position. Sessions start at whole minutes, so that all prefixes have the same
/// length.
pub(crate) fn instant(instant: Timestamp) -> String {
    format!("{instant:.0}")
}

/// Returns the partition of a therapist's sessions with this status.
pub(crate) fn therapist_status(therapist: TherapistId, status: Status) -> String {
    let status = match status {
        Status::Available => "AVAILABLE",
        Status::Booked => "BOOKED",
        Status::Cancelled => "CANCELLED",
    };
    format!("{therapist}#{status}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_sort_by_start() {
        let id = |byte| SessionId::from_bytes([byte; 16]);
        let at = |second| Timestamp::from_second(second).unwrap();
        let positions = [
            position(at(0), id(9)),
            position(at(60), id(1)),
            position(at(60), id(2)),
            position(at(1_000_000_000), id(0)),
            position(at(253_402_207_200), id(0)),
        ];
        assert!(positions.is_sorted() && positions.iter().all(|it| it.len() == positions[0].len()), "{positions:?}");
        assert!(instant(at(60)) < positions[1] && positions[0] < instant(at(60)));
    }

    #[test]
    fn therapist_status_holds_status_name() {
        let therapist = TherapistId::from_bytes([1; 16]);
        for (status, word) in
            [(Status::Available, "AVAILABLE"), (Status::Booked, "BOOKED"), (Status::Cancelled, "CANCELLED")]
        {
            assert_eq!(therapist_status(therapist, status), format!("{therapist}#{word}"));
        }
    }
}

//! The codes of gRPC as HTTP statuses.

/// google.rpc.Code: the name, the number and the HTTP status.
const CODES: [(&str, i32, u16); 11] = [
    ("INVALID_ARGUMENT", 3, 400),
    ("DEADLINE_EXCEEDED", 4, 504),
    ("NOT_FOUND", 5, 404),
    ("ALREADY_EXISTS", 6, 409),
    ("PERMISSION_DENIED", 7, 403),
    ("RESOURCE_EXHAUSTED", 8, 429),
    ("FAILED_PRECONDITION", 9, 400),
    ("ABORTED", 10, 409),
    ("INTERNAL", 13, 500),
    ("UNAVAILABLE", 14, 503),
    ("UNAUTHENTICATED", 16, 401),
];

/// Returns the HTTP status of a code; none if the word is no code.
pub(crate) fn http_status(code: &str) -> Option<u16> {
    CODES.iter().find(|(name, ..)| *name == code).map(|(.., status)| *status)
}

/// Returns the number of a code; none if the word is no code.
pub(crate) fn number(code: &str) -> Option<i32> {
    CODES.iter().find(|(name, ..)| *name == code).map(|(_, number, _)| *number)
}

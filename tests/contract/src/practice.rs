//! REST routes of sessions, messages and appointments: apps depend on these paths, parameters, fields and codes.

use std::collections::BTreeSet;

use prost_reflect::{DescriptorPool, FieldDescriptor};

use crate::rest::{self, Route};

/// Method and path, query parameters or body fields, success code, and form of the answer.
const ROWS: [(&str, &str, u16, &str); 17] = [
    ("GET /sessions", "afterDate beforeDate clientId pageSize pageToken status therapistId", 200, "array"),
    (
        "POST /sessions",
        "clientId endTime etag privateNotes sessionDate sessionId sharedNotes startTime status therapistId",
        201,
        "object",
    ),
    ("GET /sessions/{sessionId}", "", 200, "object"),
    (
        "PUT /sessions/{sessionId}",
        "clientId endTime etag privateNotes sessionDate sessionId sharedNotes startTime status therapistId",
        200,
        "object",
    ),
    ("PUT /sessions/{sessionId}/notes", "etag privateNotes sharedNotes", 200, "object"),
    ("DELETE /sessions/{sessionId}", "", 204, "object"),
    ("POST /messages", "message receiverId senderId", 201, "object"),
    ("GET /messages/history", "pageSize pageToken receiverId senderId", 200, "array"),
    ("GET /messages/conversations", "pageSize pageToken", 200, "array"),
    ("PUT /messages/read", "messageId peerId", 200, "object"),
    ("GET /messages/watch", "after peerId", 200, "stream"),
    ("GET /appointments", "clientId pageSize pageToken status therapistId", 200, "array"),
    ("POST /appointments", "appointmentDate clientId sessionId therapistId", 201, "object"),
    ("GET /appointments/{appointmentId}", "", 200, "object"),
    ("GET /appointments/{appointmentId}/status", "", 200, "object"),
    ("PUT /appointments/{appointmentId}/status", "etag status", 200, "object"),
    ("DELETE /appointments/{appointmentId}", "", 200, "object"),
];

/// Returns how the routes differ from the table: rows that only one of them has.
#[must_use]
pub fn differences(pool: &DescriptorPool) -> Vec<String> {
    let of_practice =
        |row: &str| ["/sessions", "/messages", "/appointments"].iter().any(|path| row.contains(&format!(" {path}")));
    let routes = rest::routes(pool).into_iter().filter(|route| of_practice(&route.row));
    let routes: BTreeSet<_> = routes.map(|route| row(&route)).collect();
    let rows = ROWS.map(|(route, fields, status, form)| (route.to_owned(), fields.to_owned(), status, form)).into();
    routes.symmetric_difference(&rows).map(|row| format!("{row:?}")).collect()
}

/// Reads the row of a route from the descriptors.
fn row(route: &Route) -> (String, String, u16, &'static str) {
    let Route { rpc, row, variables, body, response_body } = route;
    let input = rpc.method.input();
    let fields: Vec<_> = match body.as_str() {
        "" | "*" => input.fields().filter(|field| !variables.contains(field)).collect(),
        body => input.get_field_by_name(body).unwrap().kind().as_message().unwrap().fields().collect(),
    };
    let mut fields: Vec<_> = fields.iter().map(FieldDescriptor::json_name).collect();
    fields.sort_unstable();
    let form = match response_body {
        _ if rpc.method.is_server_streaming() => "stream",
        None => "object",
        Some(_) => "array",
    };
    (row.clone(), fields.join(" "), rpc.access.http_status, form)
}

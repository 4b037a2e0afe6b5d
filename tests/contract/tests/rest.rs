//! REST routes of sessions, messages and appointments: apps depend on these paths, parameters, fields and codes.

#![allow(clippy::unwrap_used, reason = "a test that finds nothing has failed")]

use std::collections::BTreeMap;

use prost_reflect::{DescriptorPool, MethodDescriptor};
use proto::Rpc;

/// Method and path, query parameters or body fields, success code, and form of the answer.
const ROWS: [(&str, &str, u16, &str); 17] = [
    ("GET /sessions", "afterDate beforeDate clientId pageSize pageToken status therapistId", 200, "array"),
    (
        "POST /sessions",
        "clientId endTime etag privateNotes sessionDate sessionId sharedNotes startTime status therapistId",
        201,
        "object",
    ),
    ("GET /sessions/{session_id}", "", 200, "object"),
    (
        "PUT /sessions/{session_id}",
        "clientId endTime etag privateNotes sessionDate sessionId sharedNotes startTime status therapistId",
        200,
        "object",
    ),
    ("PUT /sessions/{session_id}/notes", "etag privateNotes sharedNotes", 200, "object"),
    ("DELETE /sessions/{session_id}", "", 204, "object"),
    ("POST /messages", "message receiverId senderId", 201, "object"),
    ("GET /messages/history", "pageSize pageToken receiverId senderId", 200, "array"),
    ("GET /messages/conversations", "pageSize pageToken", 200, "array"),
    ("PUT /messages/read", "messageId peerId", 200, "object"),
    ("GET /messages/watch", "after peerId", 200, "stream"),
    ("GET /appointments", "clientId pageSize pageToken status therapistId", 200, "array"),
    ("POST /appointments", "appointmentDate clientId sessionId therapistId", 201, "object"),
    ("GET /appointments/{appointment_id}", "", 200, "object"),
    ("GET /appointments/{appointment_id}/status", "", 200, "object"),
    ("PUT /appointments/{appointment_id}/status", "etag status", 200, "object"),
    ("DELETE /appointments/{appointment_id}", "", 200, "object"),
];

/// Reads each route from the descriptors: fields, code, and form.
fn routes(pool: &DescriptorPool) -> BTreeMap<String, (String, u16, &'static str)> {
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    methods.filter_map(|method| route(pool, &method)).collect()
}

fn route(pool: &DescriptorPool, method: &MethodDescriptor) -> Option<(String, (String, u16, &'static str))> {
    let options = method.options();
    let http = options.get_extension(&pool.get_extension_by_name("google.api.http")?);
    let http = http.as_message()?;
    let text = |name: &str| http.get_field_by_name(name).and_then(|value| value.as_str().map(str::to_owned));
    let (verb, path) = ["get", "put", "post", "delete"].iter().find_map(|verb| {
        let path = text(verb).filter(|path| !path.is_empty())?;
        Some((verb.to_uppercase(), path))
    })?;
    let input = method.input();
    let body = text("body").filter(|body| !matches!(body.as_str(), "" | "*"));
    let mut fields: Vec<_> = match body {
        Some(body) => {
            let body = input.get_field_by_name(&body)?.kind().as_message()?.clone();
            body.fields().map(|field| field.json_name().to_owned()).collect()
        }
        None => {
            let asked = input.fields().filter(|field| !path.contains(&format!("{{{}}}", field.name())));
            asked.map(|field| field.json_name().to_owned()).collect()
        }
    };
    fields.sort();
    let form = match text("response_body").as_deref() {
        _ if method.is_server_streaming() => "stream",
        None | Some("") => "object",
        Some(_) => "array",
    };
    let rpc = Rpc::find(&format!("/{}/{}", method.parent_service().full_name(), method.name()))?;
    Some((format!("{verb} {path}"), (fields.join(" "), rpc.http_status, form)))
}

#[test]
fn practice_routes_match_contract_table() {
    let pool = DescriptorPool::decode(proto::DESCRIPTOR_SET).unwrap();
    let mut practice = routes(&pool);
    practice.retain(|route, _| {
        ["/sessions", "/messages", "/appointments"].iter().any(|of| route.contains(&format!(" {of}")))
    });
    let rows = ROWS.map(|(route, fields, code, form)| (route.to_owned(), (fields.to_owned(), code, form)));
    assert_eq!(practice, BTreeMap::from(rows));
}

//! The one list of headers: those that pass a front, and those that pages may send and read.
//!
//! Both fronts take theirs from here: the embedded one as it is built, Envoy as its configuration is rendered. What a front
//! needs besides to frame messages, such as `content-length`, and what it writes itself, such as `x-forwarded-for`, stands
//! beside its own code.

/// Headers that pass from a caller to a service.
pub const REQUEST: [&str; 8] = [
    "authorization",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "last-event-id",
    "traceparent",
    "tracestate",
    "x-request-id",
];

/// Headers that pass from a service to a caller.
pub const RESPONSE: [&str; 5] = ["cache-control", "etag", "retry-after", "x-next-page-token", "x-request-id"];

/// Headers of gRPC about the coding of messages, which pass in both directions.
pub const GRPC_CODING: [&str; 2] = ["grpc-accept-encoding", "grpc-encoding"];

/// Headers and trailers of gRPC about the outcome of a call, which pass from a service to a caller of gRPC.
pub const GRPC_STATUS: [&str; 3] = ["grpc-status", "grpc-message", "grpc-status-details-bin"];

/// Headers that a page may send besides [`REQUEST`]: those of bodies and of gRPC-Web.
pub const PAGE_REQUEST: [&str; 4] = ["content-type", "grpc-timeout", "x-grpc-web", "x-user-agent"];

/// Returns the value of `access-control-allow-headers`: what a page may send.
#[must_use]
pub fn allowed_to_pages() -> String {
    [&REQUEST[..], &PAGE_REQUEST].concat().join(", ")
}

/// Returns the value of `access-control-expose-headers`: what a page may read.
#[must_use]
pub fn exposed_to_pages() -> String {
    [&RESPONSE[..], &GRPC_STATUS].concat().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Headers that a front decides on itself, or that tell services who calls, are on no list.
    #[test]
    fn identity_and_hop_headers_are_on_no_list() {
        let listed = [&REQUEST[..], &RESPONSE, &GRPC_CODING, &GRPC_STATUS, &PAGE_REQUEST].concat();
        for name in [
            "connection",
            "cookie",
            "host",
            "set-cookie",
            "workload-identity-token",
            "x-forwarded-for",
            "x-http-code",
            "x-user-id",
        ] {
            assert!(!listed.contains(&name), "{name}");
        }
        assert!(listed.iter().all(|name| **name == name.to_ascii_lowercase()), "header names are in small letters");
    }
}

//! The contracts of the mesh: messages, clients and servers generated from the protos beside this crate, the descriptor
//! sets that fronts and reflection need, and the table of rules that the protos state beside their routes.
//!
//! Clients and servers are behind the features `<domain>-client` and `<domain>-server`, so that the manifest of a crate
//! says which services it calls. The readers of options are behind the feature `options`, for the crates that read
//! descriptors.

pub mod calls;
pub mod code;
mod ends;
mod http_body;
#[cfg(feature = "options")]
pub mod options;
#[cfg(feature = "options")]
pub mod path_template;
pub mod registry;
mod rpc;
#[cfg(feature = "options")]
pub mod service_config;

pub use http_body::HttpBody;
pub use rpc::{Caller, Ends};

/// A package of the protos, with the code that is generated from it.
macro_rules! package {
    ($(#[$doc:meta])* $domain:ident, $package:literal) => {
        $(#[$doc])*
        pub mod $domain {
            /// Version 1.
            #[allow(
                missing_docs,
                unreachable_pub,
                clippy::all,
                clippy::restriction,
                clippy::pedantic,
                reason = "generated code"
            )]
            pub mod v1 {
                tonic::include_proto!($package);
            }
        }
    };
}

package! {
    /// `therapy.appointments`: requests for sessions.
    appointments, "therapy.appointments.v1"
}
package! {
    /// `therapy.audit`: who read what of a journal.
    audit, "therapy.audit.v1"
}
package! {
    /// `therapy.auth`: accounts and logins.
    auth, "therapy.auth.v1"
}
package! {
    /// `therapy.clients`: profiles of clients.
    clients, "therapy.clients.v1"
}
package! {
    /// `therapy.errors`: the reasons of errors.
    errors, "therapy.errors.v1"
}
package! {
    /// `therapy.events`: events for other services.
    events, "therapy.events.v1"
}
package! {
    /// `therapy.journals`: the emotions journals.
    journals, "therapy.journals.v1"
}
package! {
    /// `therapy.mapping`: relations and consent.
    mapping, "therapy.mapping.v1"
}
package! {
    /// `therapy.messages`: conversations.
    messages, "therapy.messages.v1"
}
package! {
    /// `therapy.search`: keyword search.
    search, "therapy.search.v1"
}
package! {
    /// `therapy.sessions`: slots and their notes.
    sessions, "therapy.sessions.v1"
}
package! {
    /// `therapy.therapists`: profiles of therapists and the directory.
    therapists, "therapy.therapists.v1"
}
package! {
    /// `therapy.vault`: the keys that text is sealed with.
    vault, "therapy.vault.v1"
}

/// Every proto of the mesh with its options, as an encoded `google.protobuf.FileDescriptorSet`.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.pb"));

/// The same set as Envoy's JSON transcoder can load it: without `response_body`, which it refuses on repeated fields.
pub const ENVOY_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.envoy.pb"));

/// One RPC and the rule that its proto states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rpc {
    /// The path on the wire: `/<package>.<Service>/<Method>`.
    pub path: &'static str,
    /// The kinds of people who may call; empty for an internal RPC.
    pub callers: &'static [Caller],
    /// The workloads that may call; empty for any other RPC.
    pub workloads: &'static [&'static str],
    /// The HTTP status of a success.
    pub http_status: u16,
    /// The field, by its JSON name, that is the whole body over REST; empty where the message is.
    pub response_body: &'static str,
    /// Set if it answers with a stream.
    pub streams: bool,
    /// Calls that end something.
    pub ends: Ends,
    /// Set if a call may be repeated: its proto says NO_SIDE_EFFECTS or IDEMPOTENT.
    pub idempotent: bool,
    /// Set if it changes nothing: it is a GET over REST, or its proto says NO_SIDE_EFFECTS.
    pub reads: bool,
    /// Set if a call may name the etag that the resource must have: it changes or removes what has one.
    pub takes_if_match: bool,
    /// Set if the message that it answers has an etag.
    pub answers_etag: bool,
}

include!(concat!(env!("OUT_DIR"), "/rpcs.rs"));

// `Debug` of messages with a field that must not be printed, by `debug_redact` in the protos.
include!(concat!(env!("OUT_DIR"), "/redacted.rs"));

/// An answer with an etag.
pub trait Versioned {
    /// Returns the etag of the resource; empty if the caller may not know it.
    fn etag(&self) -> &str;
}

// `Versioned` of each message with an etag that an RPC answers.
include!(concat!(env!("OUT_DIR"), "/etags.rs"));

impl Rpc {
    /// Returns the rule of a path, or none: a path without a rule may be called by nobody.
    #[must_use]
    pub fn find(path: &str) -> Option<&'static Self> {
        RPCS.binary_search_by(|rpc| rpc.path.cmp(path)).ok().map(|at| &RPCS[at])
    }

    /// Returns whether only other services may call.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        self.callers.is_empty()
    }

    /// Returns whether it may be called without a token.
    #[must_use]
    pub fn allows_anonymous(&self) -> bool {
        self.callers.contains(&Caller::Anyone)
    }

    /// Returns the retry policy of its calls; none if a call must not be repeated.
    #[must_use]
    pub const fn retries(&self) -> Option<&'static calls::Retries> {
        calls::Retries::of(self.callers.is_empty(), self.idempotent)
    }

    /// Returns the service's full name: what stands between the slashes of the path.
    #[must_use]
    pub fn service(&self) -> &'static str {
        self.path.trim_start_matches('/').split('/').next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{clients, journals, vault};

    #[test]
    fn texts_and_keys_are_not_printed() {
        let entry = journals::v1::JournalEntry { note: Some("canary".to_owned()), ..Default::default() };
        let entries = journals::v1::ListEntriesResponse { entries: vec![entry], ..Default::default() };
        let key = vault::v1::GetDataKeyResponse { destroyed: false, key: b"canary".to_vec() };
        let client = clients::v1::Client { name: "canary".to_owned(), ..Default::default() };
        let printed = format!("{entries:?} {key:?} {client:?}");
        assert!(!printed.contains("canary") && !printed.contains("99, 97, 110"), "{printed}");
    }
}

//! Rules for all protos, checked on their descriptors.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::prost_types::method_options::IdempotencyLevel;
use prost_reflect::{DescriptorPool, Kind, MessageDescriptor};
use proto::options::{HttpRule, RpcOptions, idempotency_level};

use crate::{methods, rpcs};

/// RPCs that anyone may call without a token.
const ANONYMOUS: [&str; 4] = ["GetJwks", "Login", "Refresh", "Register"];

/// RPCs whose `idempotency_level` is another than that of their HTTP method, and the reason.
const OTHER_LEVELS: [(&str, IdempotencyLevel, &str); 8] = [
    ("ListEntries", IdempotencyLevel::Idempotent, "a therapist's read is in the client's access log"),
    ("GetEntry", IdempotencyLevel::Idempotent, "a therapist's read is in the client's access log"),
    ("GetInsights", IdempotencyLevel::Idempotent, "a therapist's read is in the client's access log"),
    ("Search", IdempotencyLevel::Idempotent, "a therapist's search is in the clients' access logs"),
    ("ListConsentRequests", IdempotencyLevel::Idempotent, "invitations become requests"),
    ("ChangePassword", IdempotencyLevel::IdempotencyUnknown, "the former password, sent again, is a failed attempt"),
    ("UpdateSession", IdempotencyLevel::IdempotencyUnknown, "shared notes, sent again, could reach the next client"),
    ("UpdateNotes", IdempotencyLevel::IdempotencyUnknown, "shared notes, sent again, could reach the next client"),
];

/// Returns the RPCs whose `idempotency_level` is not that of their HTTP method, and exceptions that are none.
#[must_use]
pub fn unexpected_idempotency(pool: &DescriptorPool) -> Vec<String> {
    let mut exceptions: BTreeSet<_> = OTHER_LEVELS.iter().map(|(name, ..)| *name).collect();
    let mut complaints = Vec::new();
    for method in methods(pool) {
        let options = RpcOptions::of(&method).unwrap();
        let Some(route) = options.http.first() else { continue };
        let usual = match route.method {
            "GET" => IdempotencyLevel::NoSideEffects,
            "PUT" | "DELETE" => IdempotencyLevel::Idempotent,
            _ => IdempotencyLevel::IdempotencyUnknown,
        };
        let exception = OTHER_LEVELS.iter().find(|(name, level, _)| *name == method.name() && *level != usual);
        let expected = exception.map_or(usual, |(name, level, _)| {
            exceptions.remove(name);
            *level
        });
        if idempotency_level(&method) != expected {
            complaints.push(format!("{}: idempotency_level must be {}", method.full_name(), expected.as_str_name()));
        }
    }
    complaints.extend(exceptions.into_iter().map(|name| format!("{name} is no exception")));
    complaints
}

/// Returns the RPCs that fail the build: without an access rule, or with options that contradict each other.
#[must_use]
pub fn unusable_options(pool: &DescriptorPool) -> Vec<String> {
    methods(pool).filter_map(|method| RpcOptions::of(&method).err()).map(|error| error.to_string()).collect()
}

/// Returns fields that a front can't show: Envoy crashes on an empty map key, and JSON prints 64-bit integers as
/// strings.
#[must_use]
pub fn unsupported_fields(pool: &DescriptorPool) -> Vec<String> {
    let mut complaints = Vec::new();
    for message in transcoded(pool) {
        if message.full_name().starts_with("google.protobuf.Struct") {
            complaints.push(message.full_name().to_owned());
        }
        if message.full_name().starts_with("google.") {
            continue;
        }
        for field in message.fields() {
            if field.is_map() {
                complaints.push(format!("{}: Envoy dies of an empty key of a map", field.full_name()));
            }
            if matches!(field.kind(), Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64) {
                complaints.push(format!("{}: JSON prints it as a string", field.full_name()));
            }
        }
    }
    complaints
}

/// Returns RPCs that unexpectedly need no token, or one.
#[must_use]
pub fn unexpectedly_public(pool: &DescriptorPool) -> Vec<String> {
    let rpcs = rpcs(pool).into_iter().filter(|rpc| rpc.access.allows_anonymous());
    let public: BTreeSet<_> = rpcs.map(|rpc| format!("{} {:?}", rpc.path(), rpc.access.callers)).collect();
    let expected = ANONYMOUS.map(|name| format!("/therapy.auth.v1.AuthService/{name} [Anyone]")).into();
    public.symmetric_difference(&expected).cloned().collect()
}

/// Returns the routes that the last released version has and this one doesn't: `METHOD path`.
#[must_use]
pub fn removed_routes(released: &DescriptorPool, pool: &DescriptorPool) -> Vec<String> {
    let routes = |pool: &DescriptorPool| -> BTreeSet<String> {
        let rules = methods(pool).flat_map(|method| HttpRule::of(&method).unwrap());
        rules.map(|rule| format!("{} {}", rule.method, rule.path)).collect()
    };
    routes(released).difference(&routes(pool)).cloned().collect()
}

/// Returns services that have both internal RPCs and others.
#[must_use]
pub fn mixed_services(pool: &DescriptorPool) -> Vec<String> {
    let mut kinds: BTreeMap<String, BTreeSet<bool>> = BTreeMap::new();
    for rpc in rpcs(pool) {
        let service = rpc.method.parent_service().full_name().to_owned();
        kinds.entry(service).or_default().insert(rpc.access.is_internal());
    }
    let mixed = kinds.into_iter().filter(|(_, kinds)| kinds.len() > 1);
    mixed.map(|(service, _)| format!("{service} mixes internal and public RPCs")).collect()
}

/// Returns all messages of requests and responses.
fn transcoded(pool: &DescriptorPool) -> Vec<MessageDescriptor> {
    let (mut seen, mut all) = (BTreeSet::new(), Vec::new());
    for method in methods(pool) {
        reach(method.input(), &mut seen, &mut all);
        reach(method.output(), &mut seen, &mut all);
    }
    all
}

/// Collects all messages reachable from this one.
fn reach(message: MessageDescriptor, seen: &mut BTreeSet<String>, all: &mut Vec<MessageDescriptor>) {
    if seen.insert(message.full_name().to_owned()) {
        for field in message.fields() {
            if let Kind::Message(inner) = field.kind() {
                reach(inner, seen, all);
            }
        }
        all.push(message);
    }
}

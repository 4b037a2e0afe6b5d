//! Rules for all protos, checked on their descriptors without a running service.

#![allow(clippy::unwrap_used, reason = "a test that finds nothing has failed")]

use std::collections::BTreeSet;
use std::fs;

use contract::rest::TAKE_IF_MATCH;
use contract::{ROOT, descriptors, pool};
use prost_reflect::{DescriptorPool, DynamicMessage, Value};
use proto::{RPCS, Rpc};

#[test]
fn transcoded_messages_have_no_map_struct_or_64_bit_integer() {
    assert_eq!(descriptors::unsupported_fields(&pool()), Vec::<String>::new());
}

#[test]
fn options_of_each_rpc_agree() {
    assert_eq!(descriptors::unusable_options(&pool()), Vec::<String>::new());
}

#[test]
fn rpcs_and_access_rules_match() {
    let services = pool().services().collect::<Vec<_>>();
    let methods = services.iter().flat_map(|service| service.methods().collect::<Vec<_>>());
    let paths: BTreeSet<_> =
        methods.map(|method| format!("/{}/{}", method.parent_service().full_name(), method.name())).collect();
    assert_eq!(paths, RPCS.iter().map(|rpc| rpc.path.to_owned()).collect());
    for path in paths {
        let rpc = Rpc::find(&path).unwrap();
        assert_ne!(rpc.callers.is_empty(), rpc.workloads.is_empty(), "{path}");
    }
    assert_eq!(Rpc::find("/therapy.auth.v1.AuthService/Nothing"), None);
}

#[test]
fn only_token_and_key_rpcs_are_public() {
    assert_eq!(descriptors::unexpectedly_public(&pool()), Vec::<String>::new());
}

#[test]
fn internal_rpcs_share_no_service_with_public_ones() {
    assert_eq!(descriptors::mixed_services(&pool()), Vec::<String>::new());
}

/// A caller may repeat what reads, replaces or removes; what creates takes an idempotency key.
#[test]
fn idempotency_level_follows_http_method() {
    assert_eq!(descriptors::unexpected_idempotency(&pool()), Vec::<String>::new());
}

#[test]
fn changes_of_what_has_an_etag_take_if_match() {
    let names = |is_meant: fn(&Rpc) -> bool| {
        let meant = RPCS.iter().filter(|rpc| is_meant(rpc));
        meant.filter_map(|rpc| rpc.path.rsplit('/').next()).collect::<Vec<_>>()
    };
    assert_eq!(names(|rpc| rpc.takes_if_match), TAKE_IF_MATCH);
    let reads = ["GetAppointment", "GetClient", "GetEntry", "GetSession", "GetTherapist"];
    assert_eq!(names(|rpc| rpc.answers_etag && rpc.reads), reads);
    assert_eq!(names(|rpc| rpc.takes_if_match && rpc.reads), Vec::<&str>::new());
}

/// `buf breaking` compares messages and RPCs (`.ci/lint`), and knows no routes.
#[test]
fn released_routes_are_kept() {
    let released = fs::read(format!("{ROOT}/proto/released.binpb")).unwrap();
    let released = DescriptorPool::decode(&*released).unwrap();
    assert_eq!(descriptors::removed_routes(&released, &pool()), Vec::<String>::new());
}

#[test]
fn service_config_has_each_rpc_once() {
    let written = fs::read_to_string(format!("{ROOT}/proto/service_config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&written).unwrap();
    let mut paths = Vec::new();
    for method_config in config["methodConfig"].as_array().unwrap() {
        for name in method_config["name"].as_array().unwrap() {
            let path = format!("/{}/{}", name["service"].as_str().unwrap(), name["method"].as_str().unwrap());
            let rpc = Rpc::find(&path).unwrap();
            assert_eq!(method_config.get("retryPolicy").is_some(), rpc.idempotent, "{path}");
            assert_eq!(method_config.get("timeout").is_some(), !rpc.streams, "{path}");
            paths.push(path);
        }
    }
    paths.sort();
    assert_eq!(paths, RPCS.iter().map(|rpc| rpc.path).collect::<Vec<_>>());
}

#[test]
fn envoy_descriptors_differ_only_in_response_body() {
    let http = |pool: &DescriptorPool| {
        let extension = pool.get_extension_by_name("google.api.http").unwrap();
        let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect::<Vec<_>>();
        let routes = methods.into_iter().map(|method| {
            let options = method.options();
            let mut rule = options.get_extension(&extension).as_message().unwrap().clone();
            let body = without_response_body(&mut rule);
            (format!("{}{rule:?}", method.full_name()), body)
        });
        routes.collect::<Vec<_>>()
    };
    let (ours, envoys) = (http(&pool()), http(&DescriptorPool::decode(proto::ENVOY_DESCRIPTOR_SET).unwrap()));
    let routes = |list: &[(String, String)]| list.iter().map(|(route, _)| route.clone()).collect::<Vec<_>>();
    assert_eq!(routes(&ours), routes(&envoys));
    assert!(ours.iter().any(|(_, body)| !body.is_empty()));
    assert!(envoys.iter().all(|(_, body)| body.is_empty()));
}

/// Removes `response_body` from a route and its aliases, which must name the same field, and returns that name.
fn without_response_body(rule: &mut DynamicMessage) -> String {
    let body = rule.get_field_by_name("response_body").unwrap().as_str().unwrap().to_owned();
    rule.clear_field_by_name("response_body");
    let aliases = rule.get_field_by_name_mut("additional_bindings").and_then(Value::as_list_mut);
    for alias in aliases.into_iter().flatten().filter_map(Value::as_message_mut) {
        assert_eq!(without_response_body(alias), body, "an alias answers alike");
    }
    body
}

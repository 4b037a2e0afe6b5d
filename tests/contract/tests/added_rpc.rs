//! Adds an RPC to the descriptors: the places that ARCHITECTURE.md lists complain, and no others.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing has failed")]

use std::borrow::Cow;
use std::fs;

use contract::{ROOT, descriptors, document, practice, tables};
use envoy_config::{Settings, Target};
use parity::script;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, Value};
use proto::options::{ACCESS, HTTP};

/// Section of ARCHITECTURE.md with the places: the first column of its table.
const SECTION: &str = "## To add an RPC\n";

const PROTO: &str = "proto/therapy/<domain>/v1/<domain>.proto";

/// The descriptor sets of the two fronts.
struct Sets {
    descriptors: Vec<u8>,
    envoy: Vec<u8>,
}

/// Access rule of the added RPC.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    Missing,
    Stated,
}

#[test]
fn exactly_listed_places_miss_added_rpc() {
    let unruled = pool(&Sets::with_added_rpc(Rule::Missing));
    let added = Sets::with_added_rpc(Rule::Stated);
    assert_eq!(descriptors::unusable_options(&pool(&added)), Vec::<String>::new());
    assert_eq!(broken_rules(&added), Vec::<String>::new());
    let removed = descriptors::removed_routes(&pool(&added), &contract::pool());
    assert_eq!(removed, ["GET /sessions/{session_id}/summary"]);

    let proto = (PROTO, descriptors::unusable_options(&unruled));
    let complaining = [proto].into_iter().chain(places(&added)).filter(|(_, complaints)| !complaints.is_empty());
    let complaining: Vec<_> = complaining.map(|(place, _)| place.to_owned()).collect();
    assert_eq!(complaining, listed_places());
}

#[test]
fn no_place_misses_rpc_of_mesh() {
    let sets = Sets { descriptors: proto::DESCRIPTOR_SET.to_vec(), envoy: proto::ENVOY_DESCRIPTOR_SET.to_vec() };
    for (place, complaints) in places(&sets) {
        assert_eq!(complaints, Vec::<String>::new(), "{place}");
    }
}

/// Returns the complaints of each place that has to follow the RPCs.
fn places(sets: &Sets) -> Vec<(&'static str, Vec<String>)> {
    let pool = pool(sets);
    let unwritten = openapi::document(&sets.descriptors).err().map(|error| error.to_string());
    let service_config = proto::service_config::document(&pool).unwrap().into_bytes();
    let envoy = Settings { descriptor_set: Cow::Owned(sets.envoy.clone()), ..Settings::of(Target::Kubernetes) };
    vec![
        ("services/<domain>/src", tables::unhandled(&pool)),
        ("gateway/openapi/overlay.yaml", unwritten.into_iter().collect()),
        ("gateway/openapi/swagger.yaml", document::differences(&document::load(), &pool)),
        ("proto/service_config.json", tables::stale("proto", &[("service_config.json", service_config)])),
        ("k8s/base/envoy", tables::stale("k8s/base/envoy", &envoy.files().unwrap())),
        ("tests/invariants/matrix", tables::without_matrix_row(&pool, &tables::matrix_rows())),
        ("tests/parity/mesh", script::uncovered(&pool)),
        ("tests/trace/calls", tables::uncounted(&pool)),
        ("tests/contract/src/practice.rs", practice::differences(&pool)),
    ]
}

/// Returns violations of the rules that an RPC meets by itself.
fn broken_rules(sets: &Sets) -> Vec<String> {
    let pool = pool(sets);
    let rules = [
        descriptors::unsupported_fields,
        descriptors::unexpectedly_public,
        descriptors::mixed_services,
        descriptors::unexpected_idempotency,
    ];
    rules.iter().flat_map(|rule| rule(&pool)).collect()
}

fn pool(sets: &Sets) -> DescriptorPool {
    DescriptorPool::decode(&*sets.descriptors).unwrap()
}

/// Returns the places that ARCHITECTURE.md lists.
fn listed_places() -> Vec<String> {
    let text = fs::read_to_string(format!("{ROOT}/ARCHITECTURE.md")).unwrap();
    let section = text.split_once(SECTION).unwrap().1.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.split('`').next().unwrap().to_owned()).collect()
}

impl Sets {
    fn with_added_rpc(rule: Rule) -> Self {
        Self {
            descriptors: with_added_rpc(proto::DESCRIPTOR_SET, rule),
            envoy: with_added_rpc(proto::ENVOY_DESCRIPTOR_SET, rule),
        }
    }
}

/// Returns a descriptor set with a copy of `GetSession` that has another name and another route.
fn with_added_rpc(set: &[u8], rule: Rule) -> Vec<u8> {
    let pool = DescriptorPool::decode(set).unwrap();
    let kind = pool.get_message_by_name("google.protobuf.FileDescriptorSet").unwrap();
    let mut set = DynamicMessage::decode(kind, set).unwrap();
    let file = named(&mut set, "file", "therapy/sessions/v1/sessions.proto");
    let service = named(file, "service", "SessionService");

    let mut rpc = named(service, "method", "GetSession").clone();
    rpc.set_field_by_name("name", Value::String("GetSessionSummary".to_owned()));
    let options = rpc.get_field_by_name_mut("options").unwrap().as_message_mut().unwrap();
    let http = options.get_extension_mut(&pool.get_extension_by_name(HTTP).unwrap());
    let path = Value::String("/sessions/{session_id}/summary".to_owned());
    http.as_message_mut().unwrap().set_field_by_name("get", path);
    if rule == Rule::Missing {
        options.clear_extension(&pool.get_extension_by_name(ACCESS).unwrap());
    }

    let methods = service.get_field_by_name_mut("method").unwrap().as_list_mut().unwrap();
    methods.push(Value::Message(rpc));
    set.encode_to_vec()
}

/// Returns the descriptor of this name in a list of them.
fn named<'a>(message: &'a mut DynamicMessage, list: &str, name: &str) -> &'a mut DynamicMessage {
    let list = message.get_field_by_name_mut(list).unwrap().as_list_mut().unwrap();
    let is_named = |it: &&mut DynamicMessage| it.get_field_by_name("name").unwrap().as_str() == Some(name);
    list.iter_mut().filter_map(Value::as_message_mut).find(is_named).unwrap()
}

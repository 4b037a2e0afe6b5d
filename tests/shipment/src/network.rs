//! Who reaches whom: the policies of the network are what the addresses say, from both sides.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::envoy;
use crate::manifests::{self, LOCAL, Manifests, items, pod};
use crate::{PORT, compose};

/// Who calls whom.
type Calls = BTreeSet<(String, String)>;

#[test]
fn the_network_lets_through_what_the_addresses_name_and_nothing_else() {
    for manifests in manifests::all() {
        let addressed = addressed(manifests);
        assert_eq!(allowed(manifests, "egress", "to"), addressed, "{}: from the callers' side", manifests.name);
        let mut allowed_in = allowed(manifests, "ingress", "from");
        allowed_in.retain(|(_, callee)| callee != "dynamodb");
        assert_eq!(allowed_in, addressed, "{}: from the side of those who are called", manifests.name);
    }
}

#[test]
fn compose_has_the_addresses_that_kubernetes_has() {
    let compose = compose::read();
    let of_compose = compose.services().flat_map(|(name, service)| calls(name, &compose::variables(service)));
    let mut of_kubernetes = addressed(&manifests::BASE);
    of_kubernetes.retain(|(caller, _)| caller != "gateway");
    assert_eq!(of_compose.collect::<Calls>(), of_kubernetes);
}

#[test]
fn who_has_no_policy_reaches_nobody() {
    for manifests in manifests::all() {
        let nothing = &manifests.get("NetworkPolicy", "nothing")["spec"];
        assert_eq!(nothing["podSelector"], serde_json::json!({}));
        assert_eq!(manifests::words(&nothing["policyTypes"]), ["Ingress", "Egress"]);
        assert!(nothing.get("ingress").is_none() && nothing.get("egress").is_none());
    }
}

#[test]
fn out_of_the_cluster_go_only_those_who_must() {
    for manifests in manifests::all() {
        let mut out = BTreeSet::new();
        for policy in manifests.of("NetworkPolicy") {
            for rule in items(&policy["spec"]["egress"]) {
                let anywhere =
                    rule.get("to").is_none() || items(&rule["to"]).iter().any(|to| to.get("ipBlock").is_some());
                if anywhere {
                    let ports = items(&rule["ports"]).iter().map(|port| port["port"].as_u64().unwrap());
                    out.insert((policy["metadata"]["name"].as_str().unwrap(), ports.collect::<Vec<_>>()));
                }
            }
        }
        assert_eq!(out, [("store", vec![443]), ("workload-keys", vec![443, 6443])].into(), "{}", manifests.name);
    }
}

#[test]
fn dynamodb_on_ones_own_machine_is_reached_by_services_alone() {
    let policy = &LOCAL.get("NetworkPolicy", "dynamodb")["spec"];
    let from = serde_json::json!([{"podSelector": {"matchLabels": {"app.kubernetes.io/component": "service"}}}]);
    assert_eq!(policy["ingress"][0]["from"], from);
}

/// What the addresses of the services, and the clusters of Envoy, name.
fn addressed(manifests: &Manifests) -> Calls {
    let services = manifests.deployments("service").into_iter().flat_map(|(name, deployment)| {
        let container = &pod(deployment)["containers"][0];
        calls(name, &manifests.variables(container))
    });
    let front = envoy::clusters().into_iter().map(|(host, port)| {
        assert_eq!(port, PORT, "{host}");
        ("gateway".to_owned(), host)
    });
    services.chain(front).collect()
}

/// Whom a service with these variables calls.
fn calls(name: &str, variables: &std::collections::BTreeMap<String, String>) -> Vec<(String, String)> {
    let addresses = variables.iter().filter(|(variable, _)| variable.ends_with("_ADDRESS"));
    let call = |(variable, address): (&String, &String)| {
        let host = address.strip_prefix("http://").and_then(|rest| rest.strip_suffix(&format!(":{PORT}")));
        let host = host.unwrap_or_else(|| panic!("{name}: {variable} is {address}"));
        assert_eq!(*variable, format!("MESH_{}_ADDRESS", host.to_uppercase()), "{name}");
        (name.to_owned(), host.to_owned())
    };
    addresses.map(call).collect()
}

/// What the policies let through between pods that they name, on the port of the services.
fn allowed(manifests: &Manifests, direction: &str, peers: &str) -> Calls {
    let mut calls = Calls::new();
    for policy in manifests.of("NetworkPolicy") {
        let Some(own) = name_of(&policy["spec"]["podSelector"]) else { continue };
        let listed = manifests::words(&policy["spec"]["policyTypes"]);
        for rule in items(&policy["spec"][direction]) {
            assert!(
                listed.iter().any(|listed| listed.eq_ignore_ascii_case(direction)),
                "{own}: {direction} is not listed"
            );
            for peer in items(&rule[peers]).iter().filter_map(|peer| name_of(&peer["podSelector"])) {
                assert_eq!(rule["ports"], serde_json::json!([{"protocol": "TCP", "port": PORT}]), "{own}");
                calls.insert(if direction == "egress" { (own.clone(), peer) } else { (peer, own.clone()) });
            }
        }
    }
    calls
}

fn name_of(selector: &Value) -> Option<String> {
    Some(selector["matchLabels"]["app.kubernetes.io/name"].as_str()?.to_owned())
}

//! Tests of the network policies: they allow exactly the calls that the configured addresses imply, in both directions.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::envoy;
use crate::manifests::{self, LOCAL, Manifests, items, pod};
use crate::{PORT, compose};

/// Pairs of caller and callee.
type Calls = BTreeSet<(String, String)>;

#[test]
fn network_policies_match_service_addresses() {
    for manifests in manifests::all() {
        let addressed = addressed(manifests);
        assert_eq!(allowed(manifests, "egress", "to"), addressed, "{}: from the callers' side", manifests.name);
        let mut allowed_in = allowed(manifests, "ingress", "from");
        allowed_in.retain(|(_, callee)| callee != "dynamodb");
        assert_eq!(allowed_in, addressed, "{}: from the side of those who are called", manifests.name);
    }
}

#[test]
fn compose_and_kubernetes_addresses_match() {
    let compose = compose::read();
    let of_compose = compose.services().flat_map(|(name, service)| calls(name, &compose::variables(service)));
    let mut of_kubernetes = addressed(&manifests::BASE);
    of_kubernetes.retain(|(caller, _)| caller != "gateway");
    assert_eq!(of_compose.collect::<Calls>(), of_kubernetes);
}

#[test]
fn default_policy_denies_all_traffic() {
    for manifests in manifests::all() {
        let nothing = &manifests.get("NetworkPolicy", "nothing")["spec"];
        assert_eq!(nothing["podSelector"], serde_json::json!({}));
        assert_eq!(manifests::words(&nothing["policyTypes"]), ["Ingress", "Egress"]);
        assert!(nothing.get("ingress").is_none() && nothing.get("egress").is_none());
    }
}

#[test]
fn egress_leaves_cluster_only_for_store_and_keys() {
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
fn local_dynamodb_accepts_services_only() {
    let policy = &LOCAL.get("NetworkPolicy", "dynamodb")["spec"];
    let from = serde_json::json!([{"podSelector": {"matchLabels": {"app.kubernetes.io/component": "service"}}}]);
    assert_eq!(policy["ingress"][0]["from"], from);
}

/// Returns the calls implied by the services' addresses and Envoy's clusters.
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

/// Returns the calls of a service with these variables.
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

/// Returns the calls that the policies allow between named pods, on the port of the services.
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

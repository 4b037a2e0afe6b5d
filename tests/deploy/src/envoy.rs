//! Tests of the committed Envoy configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use envoy_config::{Settings, Target, Tls};
use serde_json::Value;

use crate::manifests::{BASE, documents, items};
use crate::text;

#[test]
fn committed_envoy_config_matches_rendered() {
    let rendered = envoy_config::files(Target::Kubernetes).unwrap();
    assert_eq!(contract::tables::stale("k8s/base/envoy", &rendered), Vec::<String>::new());
}

#[test]
fn compose_and_kubernetes_share_envoy_config() {
    assert_eq!(envoy_config::files(Target::Compose).unwrap(), envoy_config::files(Target::Kubernetes).unwrap());
}

#[test]
fn config_map_holds_exactly_the_rendered_files() {
    let rendered: Vec<_> = envoy_config::files(Target::Kubernetes).unwrap().into_iter().map(|(name, _)| name).collect();
    let map = BASE.of("ConfigMap").find(|map| map["metadata"]["name"].as_str().unwrap().starts_with("envoy-")).unwrap();
    let keys = |of: &str| map[of].as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    let mut shipped = [keys("data"), keys("binaryData")].concat();
    shipped.sort();
    let mut expected = rendered.clone();
    expected.sort_unstable();
    assert_eq!(shipped, expected);
}

#[test]
fn readme_lists_every_envoy_file() {
    let readme = text("k8s/README.md");
    let told = readme.split_once("files: [").and_then(|(_, list)| list.split_once(']')).unwrap().0;
    let tls = Tls { certificate: "/tls/tls.crt".to_owned(), key: "/tls/tls.key".to_owned() };
    let all = Settings { tls: Some(tls), ..Settings::of(Target::Kubernetes) }.files().unwrap();
    let all = all.into_iter().map(|(name, _)| format!("envoy/{name}"));
    let always: Vec<_> = all.filter(|name| name != "envoy/certificate.yaml").collect();
    assert_eq!(told.split(", ").collect::<Vec<_>>(), always);
    assert!(readme.contains("# with TLS, envoy/certificate.yaml too"));
}

#[test]
fn gateway_deployment_matches_envoy_ports_and_files() {
    let configuration = configuration();
    let listener =
        items(&configuration["static_resources"]["listeners"]).iter().find(|it| it["name"] == "front").unwrap();
    let socket = &listener["address"]["socket_address"];
    let pod = &BASE.get("Deployment", "gateway")["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(container["ports"][0]["containerPort"], socket["port_value"]);
    let policy = &BASE.get("NetworkPolicy", "gateway")["spec"]["ingress"];
    assert_eq!(policy[0]["ports"][0]["port"], socket["port_value"]);
    let settings = Settings::of(Target::Kubernetes);
    let mounted: BTreeMap<_, _> = items(&container["volumeMounts"])
        .iter()
        .map(|mount| (mount["mountPath"].as_str().unwrap(), mount["name"].as_str().unwrap()))
        .collect();
    assert_eq!(mounted[settings.directory.as_str()], "configuration");
    let token = settings.workload_token.unwrap();
    assert_eq!(token.rsplit_once('/'), Some(("/var/run/secrets/workload", "token")));
    assert_eq!(mounted["/var/run/secrets/workload"], "workload");
    let args = crate::manifests::words(&container["args"]);
    assert!(args.contains(&format!("{}/envoy.yaml", settings.directory)), "{args:?}");
}

/// Returns the hosts of Envoy's clusters and their ports.
pub(crate) fn clusters() -> BTreeMap<String, u16> {
    let configuration = configuration();
    let clusters = items(&configuration["static_resources"]["clusters"]).iter();
    let address = |cluster: &Value| {
        let socket = cluster.pointer("/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address")?;
        Some((socket["address"].as_str()?.to_owned(), u16::try_from(socket["port_value"].as_u64()?).ok()?))
    };
    clusters.filter_map(address).collect()
}

/// Returns the longest time until Envoy stops calling a replica that is unhealthy or doesn't answer.
pub(crate) fn unhealthy_after() -> Duration {
    let configuration = configuration();
    let of = |cluster: &Value| {
        let check = cluster.pointer("/health_checks/0")?;
        let time = |name: &str| kernel::setting::duration(check[name].as_str().unwrap()).unwrap();
        let asked = u32::try_from(check["unhealthy_threshold"].as_u64()?).ok()?;
        Some(time("interval").max(time("no_traffic_interval")) * asked + time("timeout"))
    };
    items(&configuration["static_resources"]["clusters"]).iter().filter_map(of).max().expect("clusters are asked")
}

/// Returns the longest timeout of a route that is not a stream.
pub(crate) fn longest_answer() -> Duration {
    let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
    let routes = configuration().pointer(manager).unwrap()["route_config"]["virtual_hosts"][0]["routes"].clone();
    let timeouts = items(&routes).iter().map(|it| it["route"]["timeout"].as_str().unwrap());
    let timeouts =
        timeouts.filter(|timeout| *timeout != "0s").map(|timeout| kernel::setting::duration(timeout).unwrap());
    timeouts.max().expect("answers have a time")
}

/// Renders the `envoy.yaml` of Kubernetes.
fn configuration() -> Value {
    let text = Settings::of(Target::Kubernetes).render().unwrap();
    documents(&text).remove(0)
}

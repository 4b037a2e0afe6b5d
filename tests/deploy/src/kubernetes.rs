//! Tests of the manifests: complete, valid, and consistent with the services' settings.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use proto::registry::NAMES;
use serde_json::Value;

use crate::manifests::{self, BASE, LOCAL, items, pod};
use crate::{PORT, envoy, programs, run, tool};

/// Maximum size in bytes of the annotation in which `kubectl apply` stores the whole object.
const LAST_APPLIED: usize = 262_144;

#[test]
fn manifests_pass_kubernetes_validate() {
    for manifests in manifests::all() {
        let mut file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
        file.write_all(manifests.text.as_bytes()).unwrap();
        let mut validate = Command::new(tool("python").join("kubernetes-validate"));
        run(validate.arg("--strict").arg("--quiet").arg(file.path()));
    }
}

#[test]
fn manifests_cover_exactly_the_services() {
    for manifests in manifests::all() {
        let services = manifests.deployments("service");
        assert_eq!(services.into_keys().collect::<BTreeSet<_>>(), NAMES.into(), "{}", manifests.name);
        for name in NAMES.into_iter().chain(["gateway"]) {
            for kind in ["ServiceAccount", "Service", "Deployment", "PodDisruptionBudget", "NetworkPolicy"] {
                manifests.get(kind, name);
            }
            let selector =
                |kind, at: &str| manifests.get(kind, name).pointer(at).unwrap()["app.kubernetes.io/name"].clone();
            assert_eq!(selector("Service", "/spec/selector"), name);
            assert_eq!(selector("PodDisruptionBudget", "/spec/selector/matchLabels"), name);
            assert_eq!(selector("NetworkPolicy", "/spec/podSelector/matchLabels"), name);
            assert_eq!(selector("Deployment", "/spec/template/metadata/labels"), name);
        }
    }
}

#[test]
fn each_service_has_its_own_image_and_account() {
    let version = env!("CARGO_PKG_VERSION");
    for manifests in manifests::all() {
        for (name, deployment) in manifests.deployments("service") {
            assert_eq!(pod(deployment)["serviceAccountName"], name);
            for container in manifests::containers(deployment) {
                assert_eq!(container["image"], format!("therapy/{name}:{version}"));
            }
        }
        assert_eq!(pod(manifests.get("Deployment", "gateway"))["serviceAccountName"], "gateway");
    }
}

#[test]
fn ports_and_probes_match_listen_address() {
    for (name, deployment) in BASE.deployments("service") {
        let container = &pod(deployment)["containers"][0];
        let listen: SocketAddr = BASE.variables(container)["MESH_LISTEN"].parse().unwrap();
        assert_eq!((listen.ip().is_unspecified(), listen.port()), (true, PORT), "{name}");
        assert_eq!(container["ports"][0]["containerPort"], PORT, "{name}");
        let port = &BASE.get("Service", name)["spec"]["ports"][0];
        assert_eq!((&port["port"], &port["targetPort"]), (&PORT.into(), &container["ports"][0]["name"]), "{name}");
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            assert_eq!(container[probe]["grpc"]["port"], PORT, "{name}: {probe}");
        }
        // A restart doesn't repair a table, so the probes that restart a container don't check it.
        for probe in ["startupProbe", "livenessProbe"] {
            assert_eq!(container[probe]["grpc"]["service"], chassis::health::LIVENESS, "{name}: {probe}");
        }
        assert!(container["readinessProbe"]["grpc"].get("service").is_none(), "{name}");
    }
}

#[test]
fn termination_grace_period_covers_drain() {
    let programs = programs::all();
    for (name, deployment) in BASE.deployments("service") {
        let serve = programs[name].find_subcommand("serve").unwrap();
        let drain = serve.get_arguments().find(|arg| arg.get_long() == Some("drain-timeout")).unwrap();
        let drain = drain.get_default_values()[0].to_str().unwrap();
        let drain = kernel::setting::duration(drain).unwrap() + bootstrap::END;
        let notice = &BASE.variables(&pod(deployment)["containers"][0])["MESH_STOP_NOTICE"];
        let notice = kernel::setting::duration(notice).unwrap();
        assert!(notice > envoy::unhealthy_after(), "{name}: Envoy would not have heard that it ends");
        let grace = Duration::from_secs(pod(deployment)["terminationGracePeriodSeconds"].as_u64().unwrap());
        assert!(grace > notice + drain, "{name}: {grace:?} for {:?}", notice + drain);
    }
}

#[test]
fn base_tolerates_one_lost_replica_and_local_runs_one() {
    let replicas =
        |manifests: &manifests::Manifests, name| manifests.get("Deployment", name)["spec"]["replicas"].clone();
    for name in NAMES.into_iter().chain(["gateway"]) {
        assert_eq!((replicas(&BASE, name), replicas(&LOCAL, name)), (2.into(), 1.into()), "{name}");
        let deployment = BASE.get("Deployment", name);
        assert_eq!(deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"], 0, "{name}");
        assert_eq!(BASE.get("PodDisruptionBudget", name)["spec"]["maxUnavailable"], 1, "{name}");
        let spread: BTreeSet<_> = items(&pod(deployment)["topologySpreadConstraints"])
            .iter()
            .map(|constraint| constraint["topologyKey"].as_str().unwrap())
            .collect();
        assert_eq!(spread, ["kubernetes.io/hostname", "topology.kubernetes.io/zone"].into(), "{name}");
    }
}

#[test]
fn only_key_publisher_has_api_access() {
    for manifests in manifests::all() {
        for deployment in manifests.of("Deployment") {
            let name = deployment["metadata"]["name"].as_str().unwrap();
            let sources =
                items(&pod(deployment)["volumes"]).iter().flat_map(|volume| items(&volume["projected"]["sources"]));
            let tokens: Vec<_> = sources.filter_map(|source| source.get("serviceAccountToken")).collect();
            let audiences: Vec<_> = tokens.iter().map(|token| token["audience"].as_str()).collect();
            let expected = match name {
                "workload-keys" => vec![None],
                "dynamodb" => vec![],
                _ => vec![Some("therapy-mesh-internal")],
            };
            assert_eq!(audiences, expected, "{}: {name}", manifests.name);
        }
        let bound: Vec<_> = ["RoleBinding", "ClusterRoleBinding"].iter().flat_map(|kind| manifests.of(kind)).collect();
        assert_eq!(bound.len(), 1);
        let rules = &manifests.get("Role", "workload-keys")["rules"];
        let expected = serde_json::json!([{
            "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["workload-keys"], "verbs": ["patch"],
        }]);
        assert_eq!(*rules, expected);
    }
}

#[test]
fn objects_fit_kubectl_apply_limit() {
    for manifests in manifests::all() {
        let sizes: BTreeMap<_, _> =
            manifests.objects.iter().map(|it| (it.to_string().len(), &it["metadata"]["name"])).collect();
        let (largest, name) = sizes.last_key_value().unwrap();
        assert!(*largest < LAST_APPLIED, "{}: {name} has {largest} bytes: `kubectl apply` refuses it", manifests.name);
    }
}

#[test]
fn only_local_overlay_ships_secrets() {
    assert_eq!(BASE.of("Secret").count(), 0);
    for secret in LOCAL.of("Secret") {
        for (name, value) in secret["data"].as_object().unwrap() {
            let text =
                base64::Engine::decode(&base64::engine::general_purpose::STANDARD, value.as_str().unwrap()).unwrap();
            let directory = tempfile::tempdir().unwrap();
            let file = directory.path().join(name);
            std::fs::write(&file, &text).unwrap();
            bootstrap::read_secrets(&file).unwrap();
        }
    }
    let named = |manifests: &manifests::Manifests, file: &str| {
        manifests.of("Secret").any(|secret: &Value| secret["data"].get(file).is_some())
    };
    assert!(named(&LOCAL, "secrets") && named(&LOCAL, "key-encryption-keys"));
}

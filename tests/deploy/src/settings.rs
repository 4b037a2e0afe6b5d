//! Tests of the shipped settings: every program accepts its variables, their values are valid, and none is missing.

use std::collections::{BTreeMap, BTreeSet};

use proto::registry::NAMES;

use crate::manifests::{self, containers, items, words};
use crate::{compose, programs};

#[test]
fn programs_have_version_of_workspace() {
    for (name, command) in programs::all() {
        assert_eq!(command.get_version(), Some(env!("CARGO_PKG_VERSION")), "{name}");
    }
}

#[test]
fn kubernetes_settings_are_accepted_by_programs() {
    for manifests in manifests::all() {
        for (name, deployment) in manifests.deployments("service") {
            for container in containers(deployment) {
                let variables = manifests.variables(container);
                let config_error = programs::config_error(name, &words(&container["args"]), &variables);
                assert_eq!(config_error, None, "{}: {}", manifests.name, container["name"]);
            }
        }
    }
}

#[test]
fn compose_settings_are_accepted_by_programs() {
    let mut checked = 0;
    for (name, service) in compose::read().services() {
        let Some(program) = service["build"]["args"]["SERVICE"].as_str() else { continue };
        let config_error = programs::config_error(program, &words(&service["command"]), &compose::variables(service));
        assert_eq!(config_error, None, "{name}");
        checked += 1;
    }
    assert_eq!(checked, NAMES.len() + 2, "the services, and the two that run before them");
}

/// A missing address would fall back to a default on the program's own machine.
#[test]
fn address_settings_are_all_set() {
    let set = |variables: &BTreeMap<String, String>| -> BTreeSet<String> {
        variables.keys().filter(|name| name.ends_with("_ADDRESS")).cloned().collect()
    };
    for name in NAMES {
        let expected: BTreeSet<_> = programs::addresses(name);
        for manifests in manifests::all() {
            let container = &manifests::pod(manifests.get("Deployment", name))["containers"][0];
            assert_eq!(set(&manifests.variables(container)), expected, "{}: {name}", manifests.name);
        }
        let (_, of_compose) = compose::read().services().find(|(found, _)| *found == name).unwrap();
        assert_eq!(set(&compose::variables(of_compose)), expected, "compose: {name}");
    }
}

#[test]
fn invalid_settings_are_detected() {
    let manifests = &manifests::BASE;
    let container = &manifests::pod(manifests.get("Deployment", "vault"))["containers"][0];
    let good = manifests.variables(container);
    let config_error = |variables: &_| programs::config_error("vault", &["serve".to_owned()], variables);
    assert_eq!(config_error(&good), None);

    let mut unknown = good.clone();
    unknown.insert("MESH_DATA_KEY_LIFE".to_owned(), "30s".to_owned());
    assert_eq!(config_error(&unknown).unwrap(), "vault knows no MESH_DATA_KEY_LIFE");
    let mut malformed = good.clone();
    malformed.insert("MESH_LISTEN".to_owned(), "everywhere".to_owned());
    assert!(config_error(&malformed).unwrap().contains("'everywhere' for '--listen"));
    for name in ["MESH_SECRETS_FILE", "MESH_KEY_ENCRYPTION_KEYS_FILE", "MESH_WORKLOAD_TOKEN_FILE"] {
        let mut missing = good.clone();
        missing.remove(name);
        assert!(config_error(&missing).unwrap().contains("required"), "{name}");
    }
}

#[test]
fn files_named_by_settings_are_mounted() {
    for manifests in manifests::all() {
        for (name, deployment) in manifests.deployments("service") {
            let pod = manifests::pod(deployment);
            let container = &pod["containers"][0];
            for (variable, path) in manifests.variables(container).iter().filter(|(name, _)| name.ends_with("_FILE")) {
                let (place, file) = path.rsplit_once('/').unwrap();
                let mount = items(&container["volumeMounts"]).iter().find(|mount| mount["mountPath"] == place);
                let mount = mount.unwrap_or_else(|| panic!("{name}: nothing is mounted for {variable}"));
                let volume = items(&pod["volumes"]).iter().find(|volume| volume["name"] == mount["name"]);
                let volume = volume.unwrap_or_else(|| panic!("{name}: there is no volume {}", mount["name"]));
                assert!(holds(manifests, volume, file), "{}: {name}: {variable}", manifests.name);
            }
        }
    }
}

/// Returns true if a volume has a file of that name. Secrets of the base are created by the operator.
fn holds(manifests: &manifests::Manifests, volume: &serde_json::Value, file: &str) -> bool {
    if let Some(secret) = volume["secret"]["secretName"].as_str() {
        let made = manifests.of("Secret").find(|object| object["metadata"]["name"] == secret);
        return made.map_or(manifests.name == "k8s/base", |made| made["data"].get(file).is_some());
    }
    items(&volume["projected"]["sources"]).iter().any(|source| {
        let keys = items(&source["configMap"]["items"]).iter().any(|item| item["path"] == file);
        source["serviceAccountToken"]["path"] == file || keys
    })
}

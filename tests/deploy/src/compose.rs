//! Tests of `deploy/compose.yaml`: every service runs confined, and only the front is published.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use chassis::identity::{Issuer, KeySet, Keys, WorkloadVerifier};
use kernel::SystemClock;
use proto::registry::NAMES;
use serde_json::{Value, json};

use crate::manifests::{items, words};
use crate::{at, programs, text};

/// The parsed file.
pub(crate) struct Compose(Value);

pub(crate) fn read() -> &'static Compose {
    static COMPOSE: LazyLock<Compose> = LazyLock::new(|| {
        let mut yaml: serde_yaml_ng::Value = serde_yaml_ng::from_str(&text("deploy/compose.yaml")).unwrap();
        // Merged mappings may contain merge keys themselves.
        loop {
            let before = yaml.clone();
            yaml.apply_merge().unwrap();
            if yaml == before {
                break;
            }
        }
        Compose(serde_json::to_value(yaml).unwrap())
    });
    &COMPOSE
}

impl Compose {
    /// Returns the compose services by name.
    pub(crate) fn services(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0["services"].as_object().unwrap().iter().map(|(name, service)| (name.as_str(), service))
    }

    fn of_mesh(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.services().filter(|(name, _)| NAMES.contains(name))
    }
}

/// Returns the environment variables of a service.
pub(crate) fn variables(service: &Value) -> BTreeMap<String, String> {
    let given = service["environment"].as_object().into_iter().flatten();
    given.map(|(name, value)| (name.clone(), value.as_str().expect("variables are texts").to_owned())).collect()
}

/// Returns the arguments of a container's health check, unescaped.
pub(crate) fn health_check(name: &str) -> Vec<String> {
    let words = words(&read().0["services"][name]["healthcheck"]["test"]);
    assert_eq!(words[0], "CMD", "{name}");
    words[1..].iter().map(|word| word.replace("$$", "$")).collect()
}

#[test]
fn compose_runs_all_services_gateway_and_dynamodb() {
    let found: BTreeSet<_> = read().services().map(|(name, _)| name).collect();
    let expected = NAMES.into_iter().chain(["prepare", "tables", "dynamodb", "gateway"]).collect();
    assert_eq!(found, expected);
    for (name, service) in read().of_mesh() {
        assert_eq!(service["build"]["args"], json!({"SERVICE": name}));
        assert_eq!(service["image"], format!("therapy/{name}:{}", env!("CARGO_PKG_VERSION")));
        assert_eq!(health_check(name), ["/usr/local/bin/service", "health"]);
    }
    for (name, service) in read().services().filter(|(_, service)| service.get("build").is_some()) {
        assert_eq!(service["build"]["context"], "..", "{name}");
        assert!(at(service["build"]["dockerfile"].as_str().unwrap()).is_file(), "{name}");
    }
}

#[test]
fn compose_containers_are_confined() {
    for (name, service) in read().services() {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(words(&service["cap_drop"]), ["ALL"], "{name}");
        assert_eq!(words(&service["security_opt"]), ["no-new-privileges:true"], "{name}");
        let user = service["user"].as_str().and_then(|user| user.split_once(':')).unwrap();
        assert!(user.0.parse::<u32>().is_ok_and(|id| id > 0) && user.1.parse::<u32>().is_ok_and(|id| id > 0), "{name}");
        let limits = &service["deploy"]["resources"]["limits"];
        assert!(limits["cpus"].is_string() && limits["memory"].is_string() && limits["pids"].is_u64(), "{name}");
        for open in ["privileged", "cap_add", "pid", "ipc", "devices"] {
            assert!(service.get(open).is_none(), "{name}: {open}");
        }
    }
}

#[test]
fn only_gateway_is_published_on_loopback() {
    for (name, service) in read().services() {
        let published = words(&service["ports"]);
        let expected: &[&str] = if name == "gateway" { &["127.0.0.1:8080:8080"] } else { &[] };
        assert_eq!(published, expected, "{name}");
        assert!(service.get("network_mode").is_none_or(|mode| mode == "none"), "{name}");
    }
    let networks = read().0["networks"].as_object().unwrap();
    let open: Vec<_> =
        networks.iter().filter(|(_, network)| network["internal"] != true).map(|(name, _)| name).collect();
    assert_eq!(open, ["front"]);
    let on = |network: &str| -> BTreeSet<_> {
        let of = |service: &Value| words(&service["networks"]).iter().any(|on| on == network);
        read().services().filter(|(_, service)| of(service)).map(|(name, _)| name).collect()
    };
    assert_eq!(on("front"), ["gateway"].into());
    assert_eq!(on("store"), NAMES.into_iter().chain(["dynamodb", "tables"]).collect());
    assert_eq!(on("mesh"), NAMES.into_iter().chain(["gateway"]).collect());
}

#[test]
fn compose_dependencies_have_a_ready_condition() {
    let services: BTreeMap<_, _> = read().services().collect();
    for (name, service) in read().services() {
        for (other, how) in service["depends_on"].as_object().into_iter().flatten() {
            let other = services.get(other.as_str()).unwrap_or_else(|| panic!("{name} waits for {other}"));
            match how["condition"].as_str().unwrap() {
                "service_healthy" => assert!(other.get("healthcheck").is_some(), "{name}"),
                "service_completed_successfully" => assert!(other.get("restart").is_none(), "{name}"),
                condition => panic!("{name}: {condition}"),
            }
        }
    }
    let front: BTreeSet<_> = services["gateway"]["depends_on"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(front, crate::envoy::clusters().into_keys().collect());
}

#[test]
fn prepared_files_match_container_mounts() {
    let directory = tempfile::tempdir().unwrap();
    programs::prepare(directory.path(), false).unwrap();
    let token = |name: &str| directory.path().join("workload").join(name).join("token");
    for (name, service) in read().of_mesh() {
        for (variable, path) in variables(service).iter().filter(|(variable, _)| variable.ends_with("_FILE")) {
            let (place, file) = path.rsplit_once('/').unwrap();
            let mount = items(&service["volumes"]).iter().find(|mount| mount["target"] == place);
            let mount = mount.unwrap_or_else(|| panic!("{name}: nothing is mounted for {variable}"));
            assert_eq!((&mount["source"], &mount["read_only"]), (&"keys".into(), &true.into()), "{name}");
            let made = directory.path().join(mount["volume"]["subpath"].as_str().unwrap()).join(file);
            assert!(made.is_file(), "{name}: {} is not there for {variable}", made.display());
            if variable == "MESH_WORKLOAD_TOKEN_FILE" {
                assert_eq!(made, token(name));
            }
        }
    }
    assert!(token("gateway").is_file());
    // Least privilege: only vault mounts the key encryption keys.
    let sees =
        |service: &Value, what: &str| items(&service["volumes"]).iter().any(|it| it["volume"]["subpath"] == what);
    let with_keys: Vec<_> = read().services().filter(|(_, it)| sees(it, "key-encryption-keys")).collect();
    assert_eq!(with_keys.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["vault"]);
    let whole = |service: &Value| {
        items(&service["volumes"]).iter().any(|it| it["source"] == "keys" && it.get("volume").is_none())
    };
    assert_eq!(read().services().filter(|(_, it)| whole(it)).map(|(name, _)| name).collect::<Vec<_>>(), ["prepare"]);
}

#[test]
fn repeated_prepare_keeps_files_owner_only() {
    let directory = tempfile::tempdir().unwrap();
    programs::prepare(directory.path(), false).unwrap();
    let before = files(directory.path());
    programs::prepare(directory.path(), false).unwrap();
    assert_eq!(files(directory.path()), before);
    assert_eq!(before.len(), 2 + 2 * (NAMES.len() + 1));
    for path in before.keys().filter(|path| !path.ends_with("jwks.json")) {
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{path}");
    }
}

#[test]
fn new_and_renewed_tokens_verify_beside_old_ones() {
    let directory = tempfile::tempdir().unwrap();
    let file = |of: &str, name: &str| directory.path().join("workload").join(of).join(name);
    let token = |of: &str| std::fs::read_to_string(file(of, "token")).unwrap();
    let believes = |who: &str, token: &str| {
        let keys = Keys::fixed(KeySet::parse(&std::fs::read(file(who, "jwks.json")).unwrap()).unwrap());
        let verifier = WorkloadVerifier::new(keys, Issuer::NAME, Issuer::SUBJECT_PREFIX, Arc::new(SystemClock));
        verifier.verify(token).map(|name| name.to_string())
    };
    programs::prepare(directory.path(), false).unwrap();
    let old = token("auth");
    std::fs::remove_dir_all(file("vault", "")).unwrap();

    programs::prepare(directory.path(), false).unwrap();
    assert_eq!(token("auth"), old);
    assert_eq!(believes("auth", &token("vault")).as_deref(), Some("vault"));
    assert_eq!(believes("vault", &old).as_deref(), Some("auth"));

    let secrets = || files(&directory.path().join("secrets"));
    let before = secrets();
    programs::prepare(directory.path(), true).unwrap();
    assert_ne!(token("auth"), old);
    assert_eq!(believes("vault", &token("auth")).as_deref(), Some("auth"));
    assert_eq!(believes("vault", &old).as_deref(), Some("auth"), "whoever has not read the new one yet");
    assert_eq!(secrets(), before);
}

/// Reads all files beneath a directory.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.display().to_string(), std::fs::read(&path).unwrap());
        }
    }
    found
}

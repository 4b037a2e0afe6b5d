//! Validates rendered configurations with Envoy itself, and compares their content with the descriptors and settings.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::path::Path;
use std::process::Command;
use std::{fs, thread};

use envoy_config::{Error, Settings, Target, Tls, files};
use front_settings::headers;
use serde_yaml_ng::Value;

const TARGETS: [Target; 3] = [Target::Local, Target::Compose, Target::Kubernetes];

/// Returns the settings of a target whose files Envoy finds in `directory`, with every optional part.
fn complete(target: Target, directory: &Path) -> Settings {
    let file = |name: &str| directory.join(name).display().to_string();
    Settings {
        directory: directory.display().to_string(),
        cors_origins: ["https://app.example.org", "*"].map(|origin| origin.parse().unwrap()).into(),
        tls: Some(Tls { certificate: file("certificate.pem"), key: file("key.pem") }),
        workload_token: Some(file("token")),
        otlp: Some("collector:4317".parse().unwrap()),
        access_log_file: Some(file("log")),
        trusted_hops: 1,
        ..Settings::of(target)
    }
}

fn write(settings: &Settings, directory: &Path) {
    for (name, content) in settings.files().unwrap() {
        fs::write(directory.join(name), content).unwrap();
    }
    fs::write(directory.join("certificate.pem"), kit::envoy::CERTIFICATE).unwrap();
    fs::write(directory.join("key.pem"), kit::envoy::KEY).unwrap();
    fs::write(directory.join("token"), "a.workload.token").unwrap();
}

#[test]
fn envoy_accepts_every_rendered_configuration() {
    let variants = TARGETS.into_iter().flat_map(|target| {
        [false, true].map(|is_complete| {
            move |directory: &Path| {
                if is_complete {
                    complete(target, directory)
                } else {
                    Settings { directory: directory.display().to_string(), ..Settings::of(target) }
                }
            }
        })
    });
    let envoy = kit::envoy::binary();
    thread::scope(|scope| {
        for settings in variants {
            let envoy = &envoy;
            scope.spawn(move || {
                let directory = tempfile::tempdir().unwrap();
                write(&settings(directory.path()), directory.path());
                let validated = Command::new(envoy)
                    .args(["--mode", "validate", "--config-path"])
                    .arg(directory.path().join("envoy.yaml"))
                    .output()
                    .unwrap();
                let log = String::from_utf8_lossy(&validated.stderr);
                assert!(validated.status.success() && !log.contains("Deprecated"), "{log}");
            });
        }
    });
}

#[test]
fn container_files_are_complete_and_deterministic() {
    for target in [Target::Compose, Target::Kubernetes] {
        let first = files(target).unwrap();
        assert_eq!(first, files(target).unwrap());
        let names: Vec<_> = first.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["envoy.yaml", "front.lua", "query.lua", "descriptors.pb", "workload.yaml"]);
    }
    assert_eq!(files(Target::Local).unwrap().len(), 4);
}

/// The embedded front takes its headers from the same list.
#[test]
fn headers_are_those_of_the_list() {
    let rendered = files(Target::Kubernetes).unwrap();
    let front = String::from_utf8(rendered[1].1.clone()).unwrap();
    let table = |name: &str| -> Vec<&str> {
        let (_, begun) = front.split_once(&format!("local {name} = {{\n")).unwrap();
        let lines = begun.split("\n}").next().unwrap().lines();
        lines.filter_map(|line| line.trim().strip_prefix("[\"")?.strip_suffix("\"] = true,")).collect()
    };
    let grpc = [&headers::GRPC_CODING[..], &headers::GRPC_STATUS].concat();
    assert!(table("INWARDS").starts_with(&[&headers::REQUEST[..], &headers::GRPC_CODING].concat()));
    assert!(table("OUTWARDS").starts_with(&headers::RESPONSE));
    assert_eq!(table("OUTWARDS_GRPC"), grpc);
    for told in [headers::allowed_to_pages(), headers::exposed_to_pages()] {
        assert!(front.contains(&format!("\"{told}\"")), "{told}");
    }
}

/// Internal RPCs have no route, and only reads are retried.
#[test]
fn each_routable_rpc_has_one_route() {
    let yaml: Value = serde_yaml_ng::from_str(&Settings::of(Target::Kubernetes).render().unwrap()).unwrap();
    let manager = &yaml["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"];
    let routes = manager["route_config"]["virtual_hosts"][0]["routes"].as_sequence().unwrap();
    let mut routed: Vec<_> = routes.iter().map(|route| route["match"]["path"].as_str().unwrap()).collect();
    routed.sort_unstable();
    let routable: Vec<_> = proto::RPCS.iter().filter(|rpc| !rpc.is_internal()).map(|rpc| rpc.path).collect();
    assert_eq!(routed, routable);

    for route in routes {
        let repeats = !route["route"]["retry_policy"].is_null();
        let reads = route["name"].as_str().unwrap().starts_with("GET ");
        let streams = route["route"]["timeout"].as_str() == Some("0s");
        assert_eq!(repeats, reads && !streams, "{route:?}");
    }
}

#[test]
fn setting_with_unsafe_characters_is_rejected() {
    for bad in ["x\"\nadmin: {}", "\\", "a\nb"] {
        let settings = Settings { directory: bad.to_owned(), ..Settings::of(Target::Local) };
        assert!(matches!(settings.render(), Err(Error::Setting(_))), "{bad:?}");
    }
}

#[test]
fn flags_reach_configuration_that_envoy_accepts() {
    let directory = tempfile::tempdir().unwrap();
    let flags = [
        ("--rate", "7:70", "max_tokens: 70, tokens_per_fill: 7,"),
        ("--auth-rate", "3:30", "max_tokens: 30, tokens_per_fill: 3,"),
        ("--max-body", "4096", "max_request_bytes: 4096"),
        ("--token-issuer", "https://id.example.org", "issuer: \"https://id.example.org\""),
        ("--token-audience", "journal", "audiences: [\"journal\"]"),
        ("--health-interval", "750ms", "interval: 0.75s"),
        ("--trusted-hops", "2", "xff_num_trusted_hops: 2"),
        ("--max-connections", "500", "max_active_downstream_connections: 500"),
        (
            "--hosts",
            "API.example.org.,*.clinic.example:8443",
            "hosts: \"api.example.org *.clinic.example:8443\", loopback: true",
        ),
    ];
    let mut command = Command::new(env!("CARGO_BIN_EXE_envoy-config"));
    command
        .args(["--for", "local"])
        .arg(directory.path())
        .args(flags.iter().flat_map(|(flag, value, _)| [flag, value]));
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let written = fs::read_to_string(directory.path().join("envoy.yaml")).unwrap();
    // The rate limit of an IPv6 network is a multiple of a source's.
    let networks = ["280, tokens_per_fill: 28,", "1120, tokens_per_fill: 112,", "120, tokens_per_fill: 12,"];
    let networks = networks.map(|line| ("--rate", "", line));
    for (flag, _, line) in flags.into_iter().chain(networks) {
        assert!(written.contains(line), "{flag}: no {line} in\n{written}");
    }
    let envoy = Command::new(kit::envoy::binary())
        .args(["--mode", "validate", "--config-path"])
        .arg(directory.path().join("envoy.yaml"))
        .output()
        .unwrap();
    assert!(envoy.status.success(), "{}", String::from_utf8_lossy(&envoy.stderr));
}

#[test]
fn invalid_flag_is_rejected_with_remedy() {
    let directory = tempfile::tempdir().unwrap();
    for (flag, value, remedy) in [
        ("--rate", "200", "such as 200:2000"),
        ("--rate", "0:10", "both 1 or more"),
        ("--auth-rate", "5:-1", "both 1 or more"),
        ("--max-body", "0", "1..=1048576"),
        ("--max-body", "1048577", "1..=1048576"),
        ("--health-interval", "0s", "such as 2s"),
        ("--max-connections", "0", "1.."),
        ("--hosts", "https://api.example.org", "such as api.example.org"),
        ("--hosts", "*", "such as api.example.org"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_envoy-config"));
        let done =
            command.args(["--for", "local"]).arg(directory.path()).arg(format!("{flag}={value}")).output().unwrap();
        let stderr = String::from_utf8_lossy(&done.stderr);
        assert!(!done.status.success() && stderr.contains(flag) && stderr.contains(remedy), "{stderr}");
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "a wrong flag writes nothing");
}

#[test]
fn front_beyond_loopback_requires_hosts() {
    let listen = ([0, 0, 0, 0], 8081).into();
    let refused = Settings { listen, ..Settings::of(Target::Local) }.render().unwrap_err();
    assert!(matches!(refused, Error::Hosts(_)) && refused.to_string().contains("(--hosts)"), "{refused}");
    let own = |target| Settings::of(target).render().unwrap();
    assert!(own(Target::Local).contains(r#"hosts: "", loopback: true"#));
    for target in [Target::Compose, Target::Kubernetes] {
        let hosts =
            "localhost 127.0.0.1 [::1] gateway gateway.therapy gateway.therapy.svc gateway.therapy.svc.cluster.local";
        assert!(own(target).contains(&format!(r#"hosts: "{hosts}", loopback: false"#)), "{target:?}");
    }
}

#[test]
fn command_error_names_path_or_flag() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    fs::write(at("file"), "").unwrap();
    fs::create_dir_all(at("taken/envoy.yaml")).unwrap();
    for (into, origin, fault) in [
        (at("file"), "*", at("file: ")),
        (at("file/below"), "*", at("file/below: ")),
        (at("taken"), "*", at("taken/envoy.yaml: ")),
        (at("new"), "https://app.example.org/", "'--cors-origins <CORS_ORIGINS>': write it as scheme://host".into()),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_envoy-config"));
        let done = command.args(["--for", "local", &into, "--cors-origins", origin]).output().unwrap();
        let stderr = String::from_utf8_lossy(&done.stderr);
        assert!(!done.status.success() && stderr.contains(&fault), "{stderr}");
    }
    assert!(!fs::exists(at("new")).unwrap(), "a wrong flag writes nothing");
}

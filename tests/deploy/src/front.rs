//! Tests of the front's health check, shutdown hook and host list. The commands of the manifests run against a real
//! Envoy.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use envoy_config::{Settings, Target};
use front_settings::Hosts;
use kit::envoy::{Envoy, EnvoySetup};

use crate::manifests::{BASE, pod, words};
use crate::{compose, envoy};

#[tokio::test]
async fn pre_stop_hook_drains_envoy() {
    let settings = Settings::of(Target::Kubernetes);
    let setup = EnvoySetup { descriptor_set: settings.descriptor_set.to_vec(), upstreams: BTreeMap::new() };
    let front = Envoy::start(setup).await;
    let pod = pod(BASE.get("Deployment", "gateway"));
    let stop = words(&pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]);
    let check = compose::health_check("gateway");
    let programs = tempfile::tempdir().unwrap();
    fake_sleep(programs.path());
    let run = |command: &[String], port: u16, here: SocketAddr| {
        let words: Vec<_> =
            command.iter().map(|word| word.replace(&format!("/{port}"), &format!("/{}", here.port()))).collect();
        assert_ne!(words, command, "nobody listens on {here} there");
        let path = format!("{}:/usr/bin:/bin", programs.path().display());
        Command::new(&words[0]).args(&words[1..]).env("PATH", path).status().unwrap().success()
    };

    assert!(run(&check, settings.listen.port(), front.address()));
    assert!(!head(front.address()).contains("connection: close"));
    assert!(run(&stop, settings.admin_port, front.admin()));
    assert!(head(front.address()).contains("connection: close"));
    assert!(!run(&check, settings.listen.port(), front.address()));

    let waited = fs::read_to_string(programs.path().join("seconds")).unwrap().trim().parse().unwrap();
    assert!(Duration::from_secs(waited) > envoy::longest_answer());
    assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > waited);
}

#[test]
fn gateway_accepts_its_service_names() {
    let settings = Settings::of(Target::Kubernetes);
    let hosts = Hosts::of(settings.listen.ip(), settings.hosts).unwrap();
    let service = BASE.get("Service", "gateway");
    let name = |of: &str| service["metadata"][of].as_str().unwrap().to_owned();
    let (name, namespace) = (name("name"), name("namespace"));
    for domain in ["", ".svc", ".svc.cluster.local"] {
        assert!(hosts.cover(&format!("{name}.{namespace}{domain}")), "{domain}");
    }
    // `kubectl port-forward` and the port that compose publishes.
    for own in [name.as_str(), "localhost:8080", "127.0.0.1:8080", "[::1]:8080"] {
        assert!(hosts.cover(own), "{own}");
    }
    assert!(!hosts.cover("evil.example:8080") && !hosts.is_loopback());
}

/// Writes a fake `sleep` that records its argument and returns at once.
fn fake_sleep(directory: &Path) {
    let mut sleep = OpenOptions::new().write(true).create_new(true).mode(0o700).open(directory.join("sleep")).unwrap();
    write!(sleep, "#!/bin/sh\necho $1 > {}/seconds", directory.display()).unwrap();
}

/// Sends a request and returns the head of the answer.
fn head(front: SocketAddr) -> String {
    let mut stream = TcpStream::connect(front).unwrap();
    stream.set_read_timeout(Some(kit::wait::TIMEOUT)).unwrap();
    stream.write_all(b"GET /nothing HTTP/1.1\r\nhost: front\r\n\r\n").unwrap();
    let lines = BufReader::new(stream).lines().map(Result::unwrap);
    lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

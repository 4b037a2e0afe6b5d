//! The real Envoy, configured as in production (`gateway/envoy`), in front of services that a test runs.
#![allow(clippy::expect_used, clippy::panic, reason = "a test whose front does not start has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use prost::Message as _;
use prost_types::FileDescriptorSet;
use tempfile::TempDir;

const TEMPLATE: &str = include_str!("../../../gateway/envoy/envoy.yaml.tmpl");
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// How long Envoy may take from its start to its first answer.
const START: Duration = Duration::from_secs(20);

/// What an Envoy serves.
#[derive(Debug, Clone)]
pub struct EnvoySetup {
    /// An encoded `FileDescriptorSet` that Envoy can load, such as `proto::ENVOY_DESCRIPTOR_SET`.
    pub descriptor_set: Vec<u8>,
    /// The services that may be reached, by full name. A service of the set that is not here has no route.
    pub upstreams: BTreeMap<String, SocketAddr>,
}

/// An Envoy of its own for one test: it ends with this value, or with the test process.
#[derive(Debug)]
pub struct Envoy {
    address: SocketAddr,
    /// A shell that ends Envoy once the pipe to it closes, however this process ends.
    keeper: Child,
    _directory: TempDir,
}

impl Envoy {
    /// Starts Envoy on a free loopback port and waits until it answers. Fetches the pinned binary on first use.
    ///
    /// # Panics
    ///
    /// If the binary can't be had or Envoy refuses its configuration; the panic shows Envoy's log.
    pub async fn start(setup: EnvoySetup) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| directory.path().join(name);
        fs::write(at("descriptors.pb"), &setup.descriptor_set).expect("the descriptor set is written");
        fs::write(at("envoy.yaml"), configuration(&setup, &at("descriptors.pb")))
            .expect("the configuration is written");

        let log = fs::File::create(at("log")).expect("the log is created");
        let keeper = Command::new("sh")
            .args(["-c", "\"$@\" & pid=$!; cat >/dev/null; kill -KILL $pid; wait $pid", "keeper"])
            .arg(binary())
            .args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning", "--config-path"])
            .arg(at("envoy.yaml"))
            .arg("--admin-address-path")
            .arg(at("admin"))
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("the log is shared"))
            .stderr(log)
            .spawn()
            .expect("a shell starts");

        let started = Instant::now();
        let address = loop {
            if let Some(address) = listener(&at("admin")).await {
                break address;
            }
            if started.elapsed() > START {
                panic!("Envoy is not ready after {START:?}:\n{}", fs::read_to_string(at("log")).unwrap_or_default());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        Self { address, keeper, _directory: directory }
    }

    /// Where it listens, for REST and gRPC alike.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        drop(self.keeper.wait());
    }
}

/// The address of the front's listener, once Envoy is ready. Port 0 everywhere: the system picks, Envoy tells.
async fn listener(admin: &Path) -> Option<SocketAddr> {
    let admin = fs::read_to_string(admin).ok()?;
    let get = async |path: &str| {
        reqwest::get(format!("http://{admin}{path}")).await.ok()?.error_for_status().ok()?.text().await.ok()
    };
    get("/ready").await?;
    let listeners: serde_json::Value = serde_json::from_str(&get("/listeners?format=json").await?).ok()?;
    let socket = &listeners["listener_statuses"][0]["local_address"]["socket_address"];
    format!("{}:{}", socket["address"].as_str()?, socket["port_value"].as_u64()?).parse().ok()
}

/// The pinned binary. The script that knows the pin is the one that the checks use.
fn binary() -> PathBuf {
    let found = Command::new(format!("{ROOT}/.ci/tools")).arg("envoy").stderr(Stdio::inherit()).output();
    let found = found.expect(".ci/tools runs");
    assert!(found.status.success(), ".ci/tools could not fetch Envoy");
    PathBuf::from(String::from_utf8(found.stdout).expect("a path in UTF-8").trim_end())
}

type Values = BTreeMap<&'static str, String>;

fn configuration(setup: &EnvoySetup, descriptor_set: &Path) -> String {
    let lua = fs::canonicalize(format!("{ROOT}/gateway/envoy/front.lua")).expect("front.lua is in the repository");
    let values = Values::from([
        ("admin_port", "0".to_owned()),
        ("listen_address", "127.0.0.1".to_owned()),
        ("listen_port", "0".to_owned()),
        ("descriptor_set", descriptor_set.display().to_string()),
        ("lua", lua.display().to_string()),
    ]);
    let services = setup.upstreams.iter().map(|(service, upstream)| {
        Values::from([
            ("service", service.clone()),
            ("upstream_host", upstream.ip().to_string()),
            ("upstream_port", upstream.port().to_string()),
        ])
    });
    let streams = streams(setup).map(|(service, path)| Values::from([("service", service), ("stream", path)]));
    render(TEMPLATE, &values, &[("service", services.collect()), ("stream", streams.collect())])
}

/// The methods that answer with a stream: service and path.
fn streams(setup: &EnvoySetup) -> impl Iterator<Item = (String, String)> {
    let set = FileDescriptorSet::decode(setup.descriptor_set.as_slice()).expect("an encoded FileDescriptorSet");
    set.file.into_iter().flat_map(move |file| {
        let package = file.package().to_owned();
        let service = |service: &prost_types::ServiceDescriptorProto| format!("{package}.{}", service.name());
        let found: Vec<_> = file
            .service
            .iter()
            .filter(|s| setup.upstreams.contains_key(&service(s)))
            .flat_map(|s| s.method.iter().map(move |m| (s, m)))
            .filter(|(_, method)| method.server_streaming())
            .map(|(s, method)| (service(s), format!("/{}/{}", service(s), method.name())))
            .collect();
        found
    })
}

/// Fills a template: `{{name}}` by its value, and the lines from `#for list` to `#end` once for each item of the list.
fn render(template: &str, values: &Values, lists: &[(&str, Vec<Values>)]) -> String {
    let mut rendered = String::new();
    let mut lines = template.lines();
    while let Some(line) = lines.next() {
        let Some(list) = line.trim_start().strip_prefix("#for ") else {
            fill(line, values, &mut rendered);
            continue;
        };
        let items = lists.iter().find(|(name, _)| *name == list).map(|(_, items)| items.as_slice());
        let body: Vec<_> = lines.by_ref().take_while(|line| line.trim_start() != "#end").collect();
        for item in items.unwrap_or_else(|| panic!("the template repeats {list}, which is not a list")) {
            body.iter().for_each(|line| fill(line, item, &mut rendered));
        }
    }
    rendered
}

fn fill(line: &str, values: &Values, rendered: &mut String) {
    let mut rest = line;
    while let Some((before, name, after)) = placeholder(rest) {
        rendered.push_str(before);
        rendered.push_str(values.get(name).unwrap_or_else(|| panic!("the template names {name}, which has no value")));
        rest = after;
    }
    rendered.push_str(rest);
    rendered.push('\n');
}

fn placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("{{")?;
    let (name, after) = rest.split_once("}}")?;
    name.chars().all(|c| c.is_ascii_lowercase() || c == '_').then_some((before, name, after))
}

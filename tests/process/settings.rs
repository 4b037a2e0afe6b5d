//! Settings: each is documented, and an invalid one is rejected by name.

use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use clap::{CommandFactory as _, Parser};

use crate::process::{Process, mesh, run};

/// Settings of the binary, as the library defines them.
#[derive(Parser)]
struct All {
    #[command(flatten)]
    _mesh: ::mesh::Config,
    #[command(flatten)]
    _telemetry: telemetry::Config,
}

#[test]
fn help_lists_every_setting_with_default() {
    let mut command = mesh(&[]);
    command.arg("--help");
    let help = run(command);
    assert!(help.status.success());
    let help = String::from_utf8(help.stdout).unwrap();
    let names = chassis::config::names(&All::command());
    assert!(names.iter().filter(|name| name.starts_with("MESH_")).count() > 30, "{names:?}");
    for name in names {
        assert!(help.contains(&format!("[env: {name}=]")), "{name} is not in the help");
    }
    for documented in ["[default: 127.0.0.1:8080]", "[default: therapy-data]", "demo", "workload-keys"] {
        assert!(help.contains(documented), "{documented}");
    }
}

/// The same as in `info.version` of the API document, and in the tags of the images.
#[test]
fn version_is_that_of_workspace() {
    let mut command = mesh(&[]);
    command.arg("--version");
    assert_eq!(String::from_utf8(run(command).stdout).unwrap(), format!("mesh {}\n", env!("CARGO_PKG_VERSION")));
}

/// Asserts that a start is refused with a sentence that names the setting.
fn assert_refused(name: &str, value: &str, more: &[(&str, &str)]) {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut settings = vec![
        ("MESH_LISTEN", "127.0.0.1:0"),
        ("MESH_SERVICES_PORT", "0"),
        ("MESH_DYNAMODB_PORT", "0"),
        ("MESH_DATA_DIR", data.to_str().unwrap()),
    ];
    settings.extend(more);
    settings.push((name, value));
    let refused = run(mesh(&settings));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success(), "{name}={value} was taken");
    assert!(refused.stdout.is_empty(), "{name}={value}: {}", String::from_utf8_lossy(&refused.stdout));
    assert!(told.contains(name), "{name}={value}: {told}");
    assert!(!told.contains("panicked") && told.len() < 2000, "{name}={value}: {told}");
}

#[test]
fn unknown_variable_is_rejected_by_name() {
    for name in ["MESH_LISTNE", "MESH_", "MESH_DYNAMODB_TABLE"] {
        assert_refused(name, "1", &[]);
    }
}

#[test]
fn empty_variable_is_rejected_by_name() {
    for name in chassis::config::names(&All::command()).iter().filter(|name| name.starts_with("MESH_")) {
        assert_refused(name, "", &[]);
    }
}

#[test]
fn malformed_variable_is_rejected_by_name() {
    for (name, value) in [
        ("MESH_LISTEN", "nowhere"),
        ("MESH_SERVICES_PORT", "70000"),
        ("MESH_MEMORY", "perhaps"),
        ("MESH_MAX_BODY", "much"),
        ("MESH_MAX_CONNECTIONS", "-1"),
        ("MESH_REQUEST_TIMEOUT", "15"),
        ("MESH_HEALTH_INTERVAL", "soon"),
        ("MESH_RECOVERY_INTERVAL", "0s"),
        ("MESH_DYNAMODB_ENDPOINT", "127.0.0.1:8000"),
        ("MESH_TABLE_PREFIX", "with space"),
        ("MESH_ARGON2_MEMORY", "1024"),
        ("MESH_SIGNING_KEY_PERIOD", "1s"),
        ("MESH_TRUSTED_PROXIES", "10.0.0.0/99"),
        ("MESH_LOG", "inof"),
        ("MESH_CORS_ORIGINS", "https://app.example.org/"),
        ("MESH_HOSTS", "*"),
        ("MESH_LOG_FORMAT", "xml"),
    ] {
        assert_refused(name, value, &[]);
    }
}

#[test]
fn unusable_resource_is_rejected_with_its_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    assert_refused("MESH_LISTEN", &address.to_string(), &[]);
    assert_refused("MESH_SERVICES_PORT", &address.port().to_string(), &[]);
    assert_refused("MESH_DYNAMODB_PORT", &address.port().to_string(), &[]);
    assert_refused("MESH_DATA_DIR", "/dev/null/data", &[]);
    let nobody =
        [("MESH_MEMORY", "true"), ("MESH_LISTEN", "127.0.0.1:0"), ("MESH_DYNAMODB_ENDPOINT", "http://127.0.0.1:1")];
    let refused = run(mesh(&nobody));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && told.contains("check the endpoint"), "{told}");

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secrets");
    std::fs::write(&file, "not a secret\n").unwrap();
    let refused = run(mesh(&[
        ("MESH_SECRETS_FILE", file.to_str().unwrap()),
        ("MESH_MEMORY", "true"),
        ("MESH_LISTEN", "127.0.0.1:0"),
    ]));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && told.contains("secrets: line 1"), "{told}");
    assert!(!told.contains("not a secret"), "a secret is never shown");
}

/// Starts a mesh on this data directory, by a program if there is one. Returns the errors of the refused start.
fn refused_start(data: &Path, program: &[&str]) -> String {
    let settings = [
        ("MESH_LISTEN", "127.0.0.1:0"),
        ("MESH_SERVICES_PORT", "0"),
        ("MESH_DYNAMODB_PORT", "0"),
        ("MESH_DATA_DIR", data.to_str().unwrap()),
    ];
    let mut command = mesh(&settings);
    if let [name, arguments @ ..] = program {
        command = Command::new(name);
        command.args(arguments).arg(env!("CARGO_BIN_EXE_mesh")).env_clear().envs(settings).stdin(Stdio::null());
    }
    let refused = run(command);
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && refused.stdout.is_empty(), "{told}");
    assert!(
        told.contains(data.to_str().unwrap()) && told.contains("MESH_DATA_DIR") && !told.contains("panicked"),
        "{told}"
    );
    told
}

#[test]
fn unusable_data_directory_is_rejected_with_remedy() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    std::fs::write(&file, "").unwrap();
    for data in [file.clone(), file.join("data")] {
        let told = refused_start(&data, &[]);
        assert!(told.contains("make it a directory that you may write to"), "{told}");
    }
    for name in ["lock", "secrets", "key-encryption-keys", "dynamodb.sqlite", "dynamodb-access-key"] {
        let data = place.path().join(format!("with-{name}"));
        std::fs::create_dir_all(data.join(name)).unwrap();
        refused_start(&data, &[]);
    }
}

#[test]
fn read_only_data_directory_is_rejected_with_remedy() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, Permissions::from_mode(0o555)).unwrap();
    // Root writes to it all the same, unless it gives that up.
    let is_root = rustix::process::geteuid().is_root();
    let program: &[&str] = if is_root { &["setpriv", "--bounding-set=-dac_override"] } else { &[] };
    let told = refused_start(&data, program);
    assert!(told.contains("Permission denied") && told.contains("make it a directory that you may write to"), "{told}");
    assert_eq!(std::fs::read_dir(&data).unwrap().count(), 0, "nothing is created");
}

#[test]
fn public_front_without_hosts_refuses_to_start() {
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let refused = run(mesh(&[("MESH_LISTEN", listen), ("MESH_MEMORY", "true")]));
        let told = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{told}");
        assert!(told.contains("set MESH_HOSTS") && told.contains("such as api.example.org"), "{told}");
    }
}

#[test]
fn public_front_serves_listed_hosts_only() {
    let data = tempfile::tempdir().unwrap();
    let mesh = Process::start_with(data.path(), &[("MESH_LISTEN", "0.0.0.0:0"), ("MESH_HOSTS", "api.example.org")]);
    let status = |path: &str, host: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", port(&mesh.url))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    assert_eq!(status("/emotions", "api.example.org"), "401");
    assert_eq!(status("/docs", "api.example.org:8443"), "200");
    for foreign in ["localhost", "127.0.0.1", "evil.example"] {
        assert_eq!((status("/docs", foreign), status("/healthz", foreign)), ("403".to_owned(), "200".to_owned()));
    }
}

fn port(url: &str) -> u16 {
    url.rsplit_once(':').unwrap().1.parse().unwrap()
}

#[test]
fn data_directory_in_use_is_rejected() {
    let data = tempfile::tempdir().unwrap();
    let first = Process::start(data.path());
    let settings = [
        ("MESH_LISTEN", "127.0.0.1:0"),
        ("MESH_SERVICES_PORT", "0"),
        ("MESH_DYNAMODB_PORT", "0"),
        ("MESH_DATA_DIR", data.path().to_str().unwrap()),
    ];
    let second = run(mesh(&settings));
    let told = String::from_utf8(second.stderr).unwrap();
    assert!(!second.status.success() && told.contains("in use by another process"), "{told}");
    assert!(told.contains(data.path().to_str().unwrap()), "{told}");
    first.kill();
    drop(Process::start(data.path()));
}

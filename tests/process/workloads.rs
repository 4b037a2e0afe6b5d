//! Workload tokens: written to files for any name, or signed as by a running mesh.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use proto::clients::v1::BatchGetClientNamesRequest;
use proto::clients::v1::client_name_service_client::ClientNameServiceClient;
use rustix::process::Signal;
use tonic::Request;
use tonic::transport::Channel;
use tonic_types::StatusExt as _;

use crate::process::{Process, mesh as command, run};

/// Runs a command of the binary. Returns success and output.
fn operate(arguments: &[&str]) -> (bool, String) {
    let mut command = command(&[]);
    command.args(arguments);
    let done = run(command);
    (done.status.success(), String::from_utf8([done.stdout, done.stderr].concat()).unwrap())
}

#[test]
fn workload_keys_of_any_name_are_replaced_by_force_only() {
    let place = tempfile::tempdir().unwrap();
    let (token, jwks) = (place.path().join("reports.token"), place.path().join("jwks.json"));
    let write = |more: &[&str]| {
        operate(&[&["workload-keys", "reports", "--dir", place.path().to_str().unwrap()], more].concat())
    };
    let keys = || {
        let jwks: serde_json::Value = serde_json::from_slice(&fs::read(&jwks).unwrap()).unwrap();
        jwks["keys"].as_array().unwrap().clone()
    };
    assert!(write(&[]).0);
    let (first, first_keys) = (fs::read_to_string(&token).unwrap(), keys());
    assert_eq!(token.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    let (done, told) = write(&["another"]);
    assert!(!done && told.contains("reports.token is there already: --force"), "{told}");
    assert_eq!((fs::read_to_string(&token).unwrap(), keys()), (first.clone(), first_keys.clone()));
    assert!(!place.path().join("another.token").exists());

    assert!(write(&["--force"]).0);
    assert_ne!(fs::read_to_string(&token).unwrap(), first);
    // The first token stays valid.
    assert!(keys().len() == 2 && keys().contains(&first_keys[0]));
    assert!(operate(&["workload-keys", "--dir", place.path().to_str().unwrap()]).0);
    for name in proto::registry::NAMES {
        assert!(place.path().join(format!("{name}.token")).exists(), "{name}");
    }
    for name in ["", "Reports", "../reports", "-reports", "a b"] {
        let (done, told) = operate(&["workload-keys", "--dir", place.path().to_str().unwrap(), "--", name]);
        assert!(!done && told.contains("lower-case letters"), "{name}: {told}");
    }
}

fn workload_token(name: &str, data: &Path) -> String {
    let (done, told) = operate(&["workload-token", name, "--data-dir", data.to_str().unwrap()]);
    assert!(done, "{told}");
    told.trim_end().to_owned()
}

/// Calls an internal RPC of `clients` that `mapping` may call. Returns `OK`, or the reason of the refusal.
async fn call_clients(mesh: &Process, token: &str) -> String {
    let addresses = mesh.announced("services").split(", ");
    let address = addresses.filter_map(|it| it.strip_prefix("clients ")).next().unwrap().to_owned();
    let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut request = Request::new(BatchGetClientNamesRequest { client_ids: Vec::new() });
    request.metadata_mut().insert("workload-identity-token", token.parse().unwrap());
    match ClientNameServiceClient::new(channel).batch_get_client_names(request).await {
        Ok(_) => "OK".to_owned(),
        Err(refused) => refused.get_error_details().error_info().unwrap().reason.clone(),
    }
}

#[tokio::test]
async fn workload_token_of_data_directory_is_accepted_by_its_mesh() {
    let (data, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mesh = Process::start(data.path());
    let token = workload_token("mapping", data.path());
    assert_eq!(call_clients(&mesh, &token).await, "OK");
    assert_eq!(call_clients(&mesh, &workload_token("reports", data.path())).await, "WORKLOAD_NOT_ALLOWED");

    let elsewhere = Process::start(other.path());
    assert_eq!(call_clients(&elsewhere, &token).await, "WORKLOAD_TOKEN_INVALID");

    assert!(mesh.stop(Signal::TERM).0.success());
    let mesh = Process::start(data.path());
    assert_eq!(call_clients(&mesh, &token).await, "OK", "the issuer is the same after a restart");
}

#[test]
fn workload_token_without_secrets_names_the_setting() {
    let data = tempfile::tempdir().unwrap();
    let (done, told) = operate(&["workload-token", "mapping", "--data-dir", data.path().to_str().unwrap()]);
    assert!(!done && told.contains("MESH_DATA_DIR"), "{told}");
}

//! Access to the DynamoDB of a running mesh: it requires the access key of the data directory.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use kit::mesh::answer;

use crate::process::{Process, mesh as command, run};

/// Runs an operator's command against this DynamoDB, with the key of a data directory. Returns success and output.
fn operate(arguments: &[&str], dynamodb: &str, data: &str) -> (bool, String) {
    let mut command = command(&[("MESH_DYNAMODB_ENDPOINT", dynamodb), ("MESH_DATA_DIR", data)]);
    command.args(arguments);
    let done = run(command);
    (done.status.success(), String::from_utf8([done.stdout, done.stderr].concat()).unwrap())
}

#[tokio::test]
async fn operator_command_requires_access_key() {
    let data = tempfile::tempdir().unwrap();
    let mesh = Process::start(data.path());
    let (dynamodb, place) = (mesh.announced("DynamoDB"), data.path().to_str().unwrap());
    let key = data.path().join("dynamodb-access-key");
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let commands =
        [&["create-tables"][..], &["rewrap-keys"], &["verify-audit"], &["migrate-profiles"], &["rekey-addresses"]];
    for arguments in commands {
        let (done, told) = operate(arguments, dynamodb, place);
        assert!(done, "{arguments:?}: {told}");
    }

    // A data directory without the key, or with the key of another start.
    let elsewhere = tempfile::tempdir().unwrap();
    for name in ["secrets", "key-encryption-keys"] {
        fs::copy(data.path().join(name), elsewhere.path().join(name)).unwrap();
    }
    for foreign in [None, Some("0".repeat(64))] {
        if let Some(foreign) = &foreign {
            fs::write(elsewhere.path().join("dynamodb-access-key"), foreign).unwrap();
        }
        for arguments in commands {
            let (done, told) = operate(arguments, dynamodb, elsewhere.path().to_str().unwrap());
            assert!(!done && !told.contains("panicked"), "{arguments:?} {foreign:?}: {told}");
        }
    }
}

#[tokio::test]
async fn unsigned_request_is_rejected_by_either_storage() {
    for memory in ["true", "false"] {
        let data = tempfile::tempdir().unwrap();
        let mesh = Process::start_with(data.path(), &[("MESH_MEMORY", memory)]);
        let http = kit::mesh::http_client();
        let request =
            || http.post(mesh.announced("DynamoDB")).header("x-amz-target", "DynamoDB_20120810.ListTables").body("{}");
        let preflight = http.request(reqwest::Method::OPTIONS, mesh.announced("DynamoDB"));
        let strangers = [
            request(),
            request().header("origin", "http://evil.example"),
            request().header("host", "evil.example"),
            request()
                .header("authorization", "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request"),
            preflight.header("origin", "http://evil.example").header("access-control-request-method", "POST"),
        ];
        for stranger in strangers {
            let refused = answer(stranger).await;
            assert_eq!(refused.status, 400, "{}", refused.body);
            assert!(refused.body.to_string().contains("UnrecognizedClientException"), "{}", refused.body);
            assert!(!refused.headers.keys().any(|name| name.as_str().starts_with("access-control")));
        }
    }
}

/// Commands log on standard error, as services do.
#[test]
fn operator_command_logs_what_it_does() {
    let data = tempfile::tempdir().unwrap();
    let mesh = Process::start(data.path());
    let settings = [
        ("MESH_DYNAMODB_ENDPOINT", mesh.announced("DynamoDB")),
        ("MESH_DATA_DIR", data.path().to_str().unwrap()),
        ("MESH_TABLE_PREFIX", "other-"),
    ];
    let mut create = command(&settings);
    create.arg("create-tables");
    let done = run(create);
    let (told, log) = (String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap());
    assert!(done.status.success() && told.starts_with("the tables are as they must be: "), "{told}\n{log}");
    assert!(log.contains("made a table") && log.contains("other-Users"), "{log}");
}

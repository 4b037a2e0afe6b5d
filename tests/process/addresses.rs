//! The command that moves addresses stored by earlier versions.

use std::process::Output;

use dynamo::{Condition, Key, Read, Table, Transact};
use kit::mesh::PASSWORD;
use reqwest::Method;
use serde_json::{Value, json};

use crate::process::{Process, mesh as command, run};

const UNICODE: &str = "asha@exämple.org";
const PUNYCODE: &str = "asha@xn--exmple-cua.org";

struct World {
    data: tempfile::TempDir,
    mesh: Process,
}

impl World {
    fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let mesh = Process::start(data.path());
        Self { data, mesh }
    }

    async fn table(&self) -> Table {
        let mut config =
            dynamo::Config { endpoint: Some(self.mesh.announced("DynamoDB").to_owned()), ..Default::default() };
        mesh::take_access_key(&mut config, self.data.path()).unwrap();
        config.connect(kit::entropy::seeded()).await.table(&auth::USERS)
    }

    /// Registers an account, and stores its address as an earlier version did. Returns its id.
    async fn join(&self, registered: &str, email: &str) -> String {
        let account = json!({"email": registered, "password": PASSWORD, "role": "CLIENT"});
        let user = self.mesh.ask(Method::POST, "/auth/register", None, Some(account)).await.expect(201);
        let table = self.table().await;
        let key = |form: &str| Key::new(format!("EMAIL#{form}"), "ACCOUNT");
        let item: Value = table.get(&key(registered), Read::Consistent).await.unwrap().unwrap();
        let put = table.put(&key(email), &item).when(Condition::absent());
        let moved = table.transact([put.into(), table.delete(&key(registered)).into()]).await.unwrap();
        assert!(matches!(moved, Transact::Done));
        user["userId"].as_str().unwrap().to_owned()
    }

    fn rekey(&self) -> (Output, String) {
        let settings = [
            ("MESH_DYNAMODB_ENDPOINT", self.mesh.announced("DynamoDB")),
            ("MESH_DATA_DIR", self.data.path().to_str().unwrap()),
        ];
        let mut command = command(&settings);
        command.arg("rekey-addresses");
        let done = run(command);
        let told = String::from_utf8(done.stdout.clone()).unwrap();
        (done, told)
    }

    async fn try_login(&self, email: &str) -> u16 {
        let login = json!({"email": email, "password": PASSWORD});
        self.mesh.ask(Method::POST, "/auth/login", None, Some(login)).await.status
    }
}

#[tokio::test]
async fn rekeyed_address_logs_in_with_every_spelling() {
    let world = World::start();
    // No spelling but its own leads to it before.
    let id = world.join(PUNYCODE, "\"a\\sha\"@exämple.org").await;
    assert_eq!(world.try_login(UNICODE).await, 401);
    assert_eq!(world.try_login("\"a\\sha\"@exämple.org").await, 200);
    let (done, told) = world.rekey();
    assert!(done.status.success(), "{told}");
    assert!(told.ends_with("done: 1 addresses moved, 0 collisions\n"), "{told}");
    for email in [UNICODE, PUNYCODE, "\"a\\sha\"@exämple.org"] {
        assert_eq!(world.mesh.login(email).await.id, id, "{email}");
    }
    let (done, told) = world.rekey();
    assert!(done.status.success() && told.ends_with("done: 0 addresses moved, 0 collisions\n"), "{told}");
}

#[tokio::test]
async fn rekeying_names_collisions_and_leaves_them() {
    let world = World::start();
    let unicode = world.join("asha@example.org", UNICODE).await;
    let punycode = world.join("ben@example.org", PUNYCODE).await;
    let other = world.join("cara@xn--exmple-cua.org", "cara@exämple.org").await;
    for moved in [1, 0] {
        let (done, told) = world.rekey();
        assert!(!done.status.success(), "{told}");
        let named = format!("account {unicode} has the address of account {punycode} in another spelling");
        assert!(told.contains(&named), "{told}");
        assert!(told.ends_with(&format!("done: {moved} addresses moved, 1 collisions\n")), "{told}");
        let log = String::from_utf8(done.stderr).unwrap();
        for address in ["asha", "ben", "cara", "mple"] {
            assert!(!told.contains(address) && !log.contains(address), "{told} {log}");
        }
        for (email, id) in [(UNICODE, &unicode), (PUNYCODE, &punycode), ("cara@xn--exmple-cua.org", &other)] {
            assert_eq!(world.mesh.login(email).await.id, *id, "{email}");
        }
    }
}

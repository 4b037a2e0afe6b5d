//! The DynamoDB engines that a test runs on: the embedded one, and AWS' own DynamoDB Local.
//!
//! Each is started once per test process, when the first test asks for it. Tests keep apart by table prefixes.
#![allow(clippy::expect_used, clippy::panic, reason = "a test whose engine does not start has failed")]

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dynamo::AccessKey;
use engine::Storage;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::entropy::SeededEntropy;

/// An engine that speaks DynamoDB's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The crate `engine`, in memory.
    Embedded,
    /// DynamoDB Local, in memory; needs Java 17.
    DynamoDbLocal,
}

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// How long DynamoDB Local may take from its start to its first answer: usually 4 s, more on a machine under load.
const START: Duration = Duration::from_secs(90);

static EMBEDDED: OnceCell<engine::Engine> = OnceCell::const_new();
static LOCAL: OnceCell<Local> = OnceCell::const_new();
static PREFIXES: AtomicU32 = AtomicU32::new(0);

impl Engine {
    /// The engine's address.
    ///
    /// # Panics
    /// If the engine does not start; the panic says why.
    pub async fn endpoint(self) -> String {
        match self {
            Self::Embedded => embedded().await.endpoint(),
            Self::DynamoDbLocal => format!("http://127.0.0.1:{}", LOCAL.get_or_init(Local::start).await.port),
        }
    }

    /// The access key ID that the engine asks for.
    ///
    /// # Panics
    /// If the engine does not start; the panic says why.
    pub async fn access_key(self) -> AccessKey {
        match self {
            Self::Embedded => embedded().await.access_key().into(),
            Self::DynamoDbLocal => AccessKey::default(),
        }
    }

    /// A configuration for this engine with a table prefix that no other test has.
    ///
    /// # Panics
    /// If the engine does not start; the panic says why.
    pub async fn config(self) -> dynamo::Config {
        dynamo::Config {
            endpoint: Some(self.endpoint().await),
            access_key: self.access_key().await,
            table_prefix: format!("t{}-", PREFIXES.fetch_add(1, Ordering::Relaxed)),
            // The engine shares the machine with everything else that is tested.
            attempt_timeout: Duration::from_secs(10),
            operation_timeout: Duration::from_secs(30),
            ..dynamo::Config::default()
        }
    }

    /// A client for this engine with a table prefix that no other test has.
    ///
    /// # Panics
    /// If the engine does not start; the panic says why.
    pub async fn client(self) -> dynamo::Client {
        self.config().await.connect().await
    }
}

async fn embedded() -> &'static engine::Engine {
    let start = || async {
        let entropy = SeededEntropy::new(std::process::id().into());
        engine::Engine::start(Storage::Memory, 0, &entropy).await.expect("the engine starts")
    };
    EMBEDDED.get_or_init(start).await
}

/// Makes a test on each engine of every function that is named: `async fn rule(engine: Engine)` becomes the tests
/// `rule::embedded` and `rule::dynamodb_local`. A function that is forgotten is dead code, which the lints refuse.
#[macro_export]
macro_rules! on_each_engine {
    ($($rule:ident),* $(,)?) => {$(
        mod $rule {
            #[tokio::test]
            async fn embedded() {
                super::$rule($crate::engine::Engine::Embedded).await;
            }

            #[tokio::test]
            async fn dynamodb_local() {
                super::$rule($crate::engine::Engine::DynamoDbLocal).await;
            }
        }
    )*};
}

/// A DynamoDB Local that ends with this process, however the process ends.
struct Local {
    port: u16,
    /// Ends Java once the pipe to it closes; ends itself when Java does.
    _keeper: Child,
    _directory: TempDir,
}

const KEEPER: &str = r#"
exec 3<&0
"$@" 3<&- &
tool=$!
{ cat <&3 >/dev/null; kill -KILL $tool; } &
watch=$!
wait $tool
kill $watch
"#;

impl Local {
    async fn start() -> Self {
        let home = home();
        let port = free_port();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let log = directory.path().join("log");
        let output = fs::File::create(&log).expect("the log is created");
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper", "java", "-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .arg(format!("-Djava.library.path={home}/DynamoDBLocal_lib"))
            .args(["-jar", &format!("{home}/DynamoDBLocal.jar"), "-inMemory", "-sharedDb", "-disableTelemetry"])
            .args(["-port", &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(output.try_clone().expect("the log is shared"))
            .stderr(output)
            .spawn()
            .expect("a shell starts");
        let started = Instant::now();
        while tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
            let ended = keeper.try_wait().expect("the state of the shell").is_some();
            if ended || started.elapsed() > START {
                panic!("DynamoDB Local does not start; it needs `java`, version 17 or later:\n{}", read(&log));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Self { port, _keeper: keeper, _directory: directory }
    }
}

/// The pinned DynamoDB Local. The script that knows the pin is the one that the checks use.
fn home() -> String {
    let found = Command::new(format!("{ROOT}/.ci/tools")).arg("dynamodb-local").stderr(Stdio::inherit()).output();
    let found = found.expect(".ci/tools runs");
    assert!(found.status.success(), ".ci/tools could not fetch DynamoDB Local");
    String::from_utf8(found.stdout).expect("a path in UTF-8").trim_end().to_owned()
}

/// A port that nobody listens on. DynamoDB Local can't choose its own.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("the port is known").port()
}

fn read(log: &Path) -> String {
    fs::read_to_string(log).unwrap_or_default()
}

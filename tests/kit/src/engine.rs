//! The DynamoDB engines that a test runs on: the embedded one, and AWS' own DynamoDB Local.
//!
//! Each is started once per test process, when the first test asks for it. Table prefixes isolate the tests.
#![allow(clippy::expect_used, clippy::panic, reason = "a test whose engine does not start has failed")]

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dynamo::AccessKey;
use embedded_dynamodb::Storage;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::entropy::SeededEntropy;

/// An engine that speaks DynamoDB's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The crate `embedded_dynamodb`, in memory.
    Embedded,
    /// DynamoDB Local, in memory; needs Java 17.
    DynamoDbLocal,
}

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Startup timeout of DynamoDB Local: it usually answers after 4 s, later on a machine under load.
const START_TIMEOUT: Duration = Duration::from_secs(90);

static EMBEDDED: OnceCell<embedded_dynamodb::Engine> = OnceCell::const_new();
static LOCAL: OnceCell<Local> = OnceCell::const_new();
static PREFIXES: AtomicU32 = AtomicU32::new(0);

impl Engine {
    /// Returns the engine's address.
    ///
    /// # Panics
    /// If the engine does not start; the panic says why.
    pub async fn endpoint(self) -> String {
        match self {
            Self::Embedded => embedded().await.endpoint(),
            Self::DynamoDbLocal => format!("http://127.0.0.1:{}", LOCAL.get_or_init(Local::start).await.port),
        }
    }

    /// Returns the access key ID that the engine expects.
    ///
    /// # Panics
    /// If the engine does not start; the panic says why.
    pub async fn access_key(self) -> AccessKey {
        match self {
            Self::Embedded => embedded().await.access_key().into(),
            Self::DynamoDbLocal => AccessKey::default(),
        }
    }

    /// Returns a configuration for this engine with a table prefix that no other test has.
    ///
    /// # Panics
    /// If the engine does not start; the panic says why.
    pub async fn config(self) -> dynamo::Config {
        dynamo::Config {
            endpoint: Some(self.endpoint().await),
            access_key: self.access_key().await,
            table_prefix: format!("t{}-", PREFIXES.fetch_add(1, Ordering::Relaxed)),
            // The engine shares the machine with all other tests.
            attempt_timeout: Duration::from_secs(10),
            operation_timeout: Duration::from_secs(30),
            ..dynamo::Config::default()
        }
    }

    /// Returns a client for this engine with a table prefix that no other test has.
    ///
    /// # Panics
    /// If the engine does not start; the panic says why.
    pub async fn client(self) -> dynamo::Client {
        self.config().await.connect(crate::entropy::seeded()).await
    }
}

async fn embedded() -> &'static embedded_dynamodb::Engine {
    let start = || async {
        let entropy = SeededEntropy::new(std::process::id().into());
        embedded_dynamodb::Engine::start(Storage::Memory, 0, &entropy).await.expect("the engine starts")
    };
    EMBEDDED.get_or_init(start).await
}

/// Declares a test on each engine for every named function: `async fn rule(engine: Engine)` becomes the tests
/// `rule::embedded` and `rule::dynamodb_local`. A function that isn't listed is dead code, which the lints refuse.
#[macro_export]
macro_rules! on_each_engine {
    ($($rule:ident),* $(,)?) => {$(
        mod $rule {
            #[tokio::test]
            async fn embedded() {
                $crate::wait::in_time(super::$rule($crate::engine::Engine::Embedded)).await;
            }

            #[tokio::test]
            async fn dynamodb_local() {
                $crate::wait::in_time(super::$rule($crate::engine::Engine::DynamoDbLocal)).await;
            }
        }
    )*};
}

/// A DynamoDB Local process that ends with this process, even if this one is killed.
struct Local {
    port: u16,
    /// Watchdog shell: kills Java when the pipe to it closes, and exits when Java does.
    _watchdog: Child,
    _directory: TempDir,
}

const WATCHDOG: &str = r#"
exec 3<&0
"$@" 3<&- &
tool=$!
{ cat <&3 >/dev/null; kill -KILL $tool; } &
watch=$!
wait $tool
kill $watch
"#;

impl Local {
    /// Starts the process, again while another program takes the port that was free.
    async fn start() -> Self {
        loop {
            match Self::start_at_free_port().await {
                Ok(local) => return local,
                Err(log) if log.contains("Failed to bind") => {}
                Err(log) => panic!("DynamoDB Local does not start; it needs `java`, version 17 or later:\n{log}"),
            }
        }
    }

    /// Starts the process once; returns its log if it does not start.
    async fn start_at_free_port() -> Result<Self, String> {
        let home = home();
        let port = free_port();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let log = directory.path().join("log");
        let output = fs::File::create(&log).expect("the log is created");
        let mut watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog", "java", "-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
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
            let ended = watchdog.try_wait().expect("the state of the shell").is_some();
            if ended || started.elapsed() > START_TIMEOUT {
                return Err(read(&log));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(Self { port, _watchdog: watchdog, _directory: directory })
    }
}

/// Returns the directory of the pinned DynamoDB Local, from the script that the checks use too.
fn home() -> String {
    let found = Command::new(format!("{ROOT}/.ci/tools")).arg("dynamodb-local").stderr(Stdio::inherit()).output();
    let found = found.expect(".ci/tools runs");
    assert!(found.status.success(), ".ci/tools could not fetch DynamoDB Local");
    String::from_utf8(found.stdout).expect("a path in UTF-8").trim_end().to_owned()
}

/// Returns a free port: DynamoDB Local can't choose its own.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port is free");
    listener.local_addr().expect("the port is known").port()
}

fn read(log: &Path) -> String {
    fs::read_to_string(log).unwrap_or_default()
}

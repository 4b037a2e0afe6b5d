//! Whole meshes and their users.
#![allow(clippy::expect_used, clippy::panic, reason = "a test whose mesh does not start or answer has failed")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use chassis::{Platform, SystemEntropy, Tasks};
use clap::Parser;
use kernel::{FieldReason, ManualClock, Timestamp};
use mesh::{Config, Mesh};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use crate::engine::Engine;
use crate::envoy::{Envoy, EnvoySetup};
use crate::test_env::{Front, TestEnv};
use crate::wait;

/// Password of every test user.
pub const PASSWORD: &str = "seven quiet herons";

/// Memory in KiB and passes of a password hash: the least that Argon2id allows.
const CHEAP_HASHING: (u32, u32) = (8, 1);

/// Timeout for Envoy to fetch a new key.
const KEYS_TIMEOUT: Duration = Duration::from_secs(20);

static PEOPLE: AtomicU32 = AtomicU32::new(0);

#[derive(Parser)]
struct Defaults {
    #[command(flatten)]
    config: Config,
}

fn defaults() -> Config {
    Defaults::parse_from(["test", "--listen", "127.0.0.1:0", "--services-port", "0", "--memory"]).config
}

/// A running mesh on an engine shared with other tests, with a manual clock.
pub struct TestMesh {
    mesh: Arc<Mesh>,
    envoy: Option<Arc<Envoy>>,
    /// True if this is one of many handles.
    is_shared: bool,
    /// Clock of every service.
    pub clock: ManualClock,
    /// URL of the front.
    pub url: String,
    /// HTTP client for the front.
    pub http: reqwest::Client,
    /// Configuration of the DynamoDB client.
    pub dynamodb: dynamo::Config,
}

/// An answer of the front.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body; null where there is none.
    pub body: Value,
}

/// A person with an account who is logged in.
#[derive(Debug, Clone)]
pub struct Someone {
    /// Email address.
    pub email: String,
    /// Account id.
    pub id: String,
    /// The access token.
    pub token: String,
    /// The refresh token.
    pub refresh: String,
}

impl TestMesh {
    /// Returns a handle of the mesh that tests share in this environment, started by the first of them: for a test that
    /// touches only the people it makes, passes no time and exhausts no budget of the source address.
    pub async fn shared(env: impl Into<TestEnv>) -> Self {
        static MESHES: [OnceCell<TestMesh>; 4] = [const { OnceCell::const_new() }; 4];
        // The runtime of a test ends with the test.
        static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime starts"));
        let env = env.into();
        let place = match (env.engine, env.front) {
            (Engine::Embedded, Front::Embedded) => 0,
            (Engine::Embedded, Front::Envoy) => 1,
            (Engine::DynamoDbLocal, Front::Embedded) => 2,
            (Engine::DynamoDbLocal, Front::Envoy) => 3,
        };
        let start = || async { RUNTIME.spawn(Self::start(env)).await.expect("the mesh starts") };
        MESHES[place].get_or_init(start).await.handle()
    }

    /// Returns another handle, for use on another runtime.
    #[must_use]
    pub fn handle(&self) -> Self {
        Self {
            mesh: Arc::clone(&self.mesh),
            envoy: self.envoy.clone(),
            is_shared: true,
            clock: self.clock.clone(),
            url: self.url.clone(),
            http: http_client(),
            dynamodb: self.dynamodb.clone(),
        }
    }

    /// Starts a mesh in this environment. An engine alone means the embedded front.
    pub async fn start(env: impl Into<TestEnv>) -> Self {
        Self::start_with(env, |_| ()).await
    }

    /// Starts a mesh in this environment with changed settings. Passwords are hashed at a cost that is for tests alone,
    /// unless [`hash_as_in_production`] is among the changes.
    pub async fn start_with(env: impl Into<TestEnv>, change: impl FnOnce(&mut Config)) -> Self {
        let TestEnv { engine, front } = env.into();
        let mut config = defaults();
        // All users of a test share one source address.
        config.auth.source_registrations = 10_000;
        (config.auth.argon2_memory, config.auth.argon2_iterations) = CHEAP_HASHING;
        config.dynamodb = engine.config().await;
        change(&mut config);
        let dynamodb = config.dynamodb.clone();
        // In the year 2100: an item that is valid by this clock must not have expired by the engines' own (TTL).
        let clock = ManualClock::new(Timestamp::from_second(4_102_444_800).expect("a time"));
        let platform =
            Platform { clock: Arc::new(clock.clone()), entropy: Arc::new(SystemEntropy), tasks: Tasks::default() };
        let mesh = Mesh::start(config, platform).await.expect("the mesh starts");
        let url = format!("http://{}", mesh.address());
        let mesh =
            Self { mesh: Arc::new(mesh), envoy: None, is_shared: false, clock, url, http: http_client(), dynamodb };
        match front {
            Front::Embedded => mesh,
            Front::Envoy => {
                let envoy = mesh.envoy().await;
                Self { url: envoy.url(), envoy: Some(Arc::new(envoy)), ..mesh }
            }
        }
    }

    /// Starts an Envoy in front of the services of this mesh, configured as in production.
    pub async fn envoy(&self) -> Envoy {
        let upstreams = proto::RPCS.iter().filter(|rpc| !rpc.is_internal()).map(|rpc| {
            let domain = rpc.service().split('.').nth(1).expect("a package has a domain");
            (rpc.service().to_owned(), self.address(domain))
        });
        let upstreams = upstreams.collect();
        Envoy::start(EnvoySetup { descriptor_set: proto::ENVOY_DESCRIPTOR_SET.to_vec(), upstreams }).await
    }

    /// Returns the address of a service as `http://host:port`.
    pub fn service(&self, name: &str) -> String {
        format!("http://{}", self.address(name))
    }

    fn address(&self, name: &str) -> SocketAddr {
        self.mesh.services().find(|(known, _)| *known == name).expect("the service is there").1
    }

    /// Issues a workload token that identifies the caller as the service of this name.
    pub fn workload_token(&self, name: &str) -> String {
        self.mesh.issuer().mint(name, Duration::from_secs(3600))
    }

    /// Builds a request to the front.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// Sends a request to the front as a user, or without a token.
    pub async fn ask(&self, method: Method, path: &str, who: Option<&Someone>, body: Option<Value>) -> Answer {
        let mut request = self.request(method, path);
        if let Some(who) = who {
            request = request.bearer_auth(&who.token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        answer(request).await
    }

    /// Sends a GET to the front as a user.
    pub async fn get(&self, path: &str, who: &Someone) -> Answer {
        self.ask(Method::GET, path, Some(who), None).await
    }

    /// Registers a new user and logs in.
    pub async fn join(&self, role: &str) -> Someone {
        let number = PEOPLE.fetch_add(1, Ordering::Relaxed);
        let email = format!("{}.{number}@example.org", role.to_lowercase());
        let account = json!({"email": email, "password": PASSWORD, "role": role});
        self.ask(Method::POST, "/auth/register", None, Some(account)).await.expect(201);
        self.login(&email, PASSWORD).await
    }

    /// Logs in, and waits until Envoy knows the key that signs the token.
    pub async fn login(&self, email: &str, password: &str) -> Someone {
        let login = json!({"email": email, "password": password});
        let pair = self.ask(Method::POST, "/auth/login", None, Some(login)).await.expect(200);
        let who = Someone::of(&pair);
        self.envoy_knows_the_key_of(&who).await;
        who
    }

    /// Waits until Envoy has fetched the key that signs this token. Envoy refreshes keys by its own clock: in
    /// production it has hours before a new key begins to sign, but it doesn't see the time that a test lets
    /// [`pass`](Self::pass).
    async fn envoy_knows_the_key_of(&self, who: &Someone) {
        if self.envoy.is_none() {
            return;
        }
        let asked = Instant::now();
        while self.get("/clients", who).await.status == 401 {
            assert!(asked.elapsed() < KEYS_TIMEOUT, "Envoy reads the keys");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Registers a client and creates a profile.
    pub async fn client(&self, name: &str) -> Someone {
        let who = self.join("CLIENT").await;
        let profile = json!({"name": name, "email": who.email, "pincode": "110001"});
        self.ask(Method::POST, "/clients", Some(&who), Some(profile)).await.expect(201);
        who
    }

    /// Registers a therapist and creates a profile.
    pub async fn therapist(&self, name: &str, specialty: &str, pincode: &str) -> Someone {
        let who = self.join("THERAPIST").await;
        let profile = json!({"name": name, "email": who.email, "specialty": specialty, "pincode": pincode});
        self.ask(Method::POST, "/therapists", Some(&who), Some(profile)).await.expect(201);
        who
    }

    /// Advances the clock.
    ///
    /// # Panics
    /// If other tests share it.
    pub fn pass(&self, time: Duration) {
        assert!(!self.is_shared, "the clock of a shared mesh stands still");
        self.clock.advance(time);
    }

    /// Stops the mesh and asserts a clean shutdown: no request cut off, no task left. A handle of a shared mesh stops
    /// nothing.
    pub async fn stop(self) {
        if self.is_shared {
            return;
        }
        drop((self.http, self.envoy));
        let mesh = Arc::into_inner(self.mesh).expect("no handle is left");
        assert!(mesh.shutdown().await, "the mesh ends quietly");
    }
}

/// Restores production's cost of a password hash, for tests of what happens during one.
pub fn hash_as_in_production(config: &mut Config) {
    let production = defaults().auth;
    (config.auth.argon2_memory, config.auth.argon2_iterations) =
        (production.argon2_memory, production.argon2_iterations);
}

impl Someone {
    /// Reads the user and the tokens from a token pair.
    pub fn of(pair: &Value) -> Self {
        let text = |pointer| pair.pointer(pointer).and_then(Value::as_str).expect("the pair is whole").to_owned();
        Self {
            email: text("/user/email"),
            id: text("/user/userId"),
            token: text("/accessToken"),
            refresh: text("/refreshToken"),
        }
    }
}

/// Returns an HTTP client with the tests' timeout for each read. Its requests have one id, unless they bring their own, so that
/// equal errors are equal.
///
/// # Panics
/// If TLS can't be initialised.
#[must_use]
pub fn http_client() -> reqwest::Client {
    let id = (HeaderName::from_static("x-request-id"), HeaderValue::from_static("tests"));
    let builder = reqwest::Client::builder().default_headers([id].into_iter().collect());
    builder.read_timeout(wait::TIMEOUT).build().expect("a client")
}

/// Sends a request.
pub async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("the front answers");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.expect("the body is text");
    let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(Value::String(text)) };
    Answer { status, headers, body }
}

impl Answer {
    /// Returns the body, if the status is this one.
    ///
    /// # Panics
    /// If the status is another.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// Asserts the status and the reason of an error, and the form common to all errors.
    ///
    /// # Panics
    /// If the answer is another.
    #[track_caller]
    pub fn refused(&self, status: u16, reason: &str) -> &Value {
        assert_eq!((self.status, self.reason()), (status, reason), "{}", self.body);
        assert!(self.body["code"].as_i64().is_some_and(|code| code > 0), "{}", self.body);
        assert!(self.body["message"].as_str().is_some_and(|message| !message.is_empty()), "{}", self.body);
        let id = self.headers["x-request-id"].to_str().expect("an id is ASCII");
        assert_eq!(
            self.detail("google.rpc.RequestInfo").map(|info| &info["requestId"]),
            Some(&id.into()),
            "{}",
            self.body
        );
        &self.body
    }

    /// Returns the reason of an error.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.detail("google.rpc.ErrorInfo").and_then(|info| info["reason"].as_str()).unwrap_or_default()
    }

    /// Returns the fields that an error names, sorted.
    ///
    /// # Panics
    /// If one has no reason of the list.
    #[must_use]
    #[track_caller]
    pub fn bad_fields(&self) -> Vec<&str> {
        let mut fields: Vec<_> = self.violations().into_iter().map(|(field, ..)| field).collect();
        fields.sort_unstable();
        fields
    }

    /// Returns the fields that an error names, each with its reason and its description.
    ///
    /// # Panics
    /// If one has no reason of the list.
    #[must_use]
    #[track_caller]
    pub fn violations(&self) -> Vec<(&str, &str, &str)> {
        let violations = self.detail("google.rpc.BadRequest").and_then(|bad| bad["fieldViolations"].as_array());
        let mut all = Vec::new();
        for violation in violations.into_iter().flatten() {
            let [field, reason, description] =
                ["field", "reason", "description"].map(|part| violation[part].as_str().unwrap_or_default());
            assert!(FieldReason::ALL.iter().any(|listed| listed.name() == reason), "{violation}");
            all.push((field, reason, description));
        }
        all
    }

    /// Returns the retry delay of an error, in seconds.
    #[must_use]
    pub fn retry_after(&self) -> Option<f64> {
        let delay = self.detail("google.rpc.RetryInfo")?["retryDelay"].as_str()?;
        delay.strip_suffix('s')?.parse().ok()
    }

    fn detail(&self, name: &str) -> Option<&Value> {
        let details = self.body["details"].as_array()?;
        details.iter().find(|detail| detail["@type"].as_str().is_some_and(|kind| kind.ends_with(name)))
    }
}

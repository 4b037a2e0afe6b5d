//! The other callers: users who log in, read a journal, and revoke during an attack.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use crate::Result;
use crate::callers::PASSWORD;
use crate::load::{Times, times};

/// Timeout of a call.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum time until all calls succeed again after an attack.
const RECOVERY: Duration = Duration::from_secs(60);
/// Time between two calls of one user.
const PAUSE: Duration = Duration::from_millis(50);
/// Number of users who log in by turns: fronts limit the logins from one address.
const LOGGING_IN: u8 = 16;

/// Results of the calls of one kind.
pub(super) struct CallStats {
    pub(super) what: &'static str,
    /// True if the target under attack applies to these calls.
    pub(super) is_promised: bool,
    /// Durations of the calls. A failed one counts with the timeout.
    pub(super) times: Times,
    pub(super) failed: u64,
}

impl CallStats {
    fn new(what: &'static str, is_promised: bool) -> Result<Self> {
        Ok(Self { what, is_promised, times: times()?, failed: 0 })
    }

    /// Makes a call and returns true if it succeeded.
    async fn time(&mut self, call: impl Future<Output = Result<Value>>) -> Result<bool> {
        let started = Instant::now();
        let succeeded = call.await.is_ok();
        self.failed += u64::from(!succeeded);
        let taken = if succeeded { started.elapsed() } else { TIMEOUT };
        self.times.record(u64::try_from(taken.as_micros())?)?;
        Ok(succeeded)
    }
}

/// A client and a therapist who may read the client's journal.
struct Pair {
    client: Person,
    therapist: Person,
}

/// The other users, and the attacker's account.
pub(super) struct People {
    logging_in: Vec<Person>,
    reading: Pair,
    revoking: Pair,
    pub(super) attackers_token: String,
}

impl People {
    /// Registers all users.
    pub(super) async fn register(url: &str) -> Result<Self> {
        let mut people = Registrar { url, next: 1 };
        let (reading, revoking) = (people.pair().await?, people.pair().await?);
        let attackers_token = people.join("CLIENT").await?.token;
        let mut logging_in = Vec::new();
        for _ in 0..LOGGING_IN {
            logging_in.push(people.join("CLIENT").await?);
        }
        Ok(Self { logging_in, reading, revoking, attackers_token })
    }

    /// Makes calls of every kind concurrently for this long.
    pub(super) async fn call_for(&self, time: Duration) -> Result<Vec<CallStats>> {
        let until = Instant::now() + time;
        let (logins, reads, consent) = tokio::try_join!(self.log_in(until), self.read(until), self.revoke(until))?;
        let (grants, revocations) = consent;
        Ok(vec![logins, reads, revocations, grants])
    }

    async fn log_in(&self, until: Instant) -> Result<CallStats> {
        let mut called = CallStats::new("logins", true)?;
        for person in self.logging_in.iter().cycle() {
            if Instant::now() >= until {
                break;
            }
            called.time(person.log_in()).await?;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(called)
    }

    async fn read(&self, until: Instant) -> Result<CallStats> {
        let mut called = CallStats::new("reads", true)?;
        while Instant::now() < until {
            called.time(self.reading.read()).await?;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(called)
    }

    async fn revoke(&self, until: Instant) -> Result<(CallStats, CallStats)> {
        let (mut grants, mut revocations) = (CallStats::new("grants", false)?, CallStats::new("revocations", true)?);
        while Instant::now() < until {
            if grants.time(self.revoking.grant()).await? {
                revocations.time(self.revoking.revoke()).await?;
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok((grants, revocations))
    }

    /// Waits until all calls succeed again.
    pub(super) async fn recover(&self) -> Result<()> {
        let started = Instant::now();
        let person = self.logging_in.first().ok_or("nobody logs in")?;
        while let Err(error) = tokio::try_join!(person.log_in(), self.reading.read(), self.revoking.grant()) {
            if started.elapsed() > RECOVERY {
                return Err(format!("people are not served again after an attack: {error}").into());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }
}

/// A user with an account and an own source address.
struct Person {
    http: Client,
    url: String,
    id: String,
    email: String,
    token: String,
}

impl Person {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token)
    }

    async fn log_in(&self) -> Result<Value> {
        let login = json!({"email": self.email, "password": PASSWORD});
        answered(self.http.post(format!("{}/auth/login", self.url)).json(&login)).await
    }
}

impl Pair {
    async fn grant(&self) -> Result<Value> {
        let path = format!("/journal/{}/access?therapistId={}", self.client.id, self.therapist.id);
        answered(self.client.request(Method::PUT, &path).json(&json!({"access": "ACCEPTED"}))).await
    }

    async fn revoke(&self) -> Result<Value> {
        let path = format!("/mapping/{}/access?therapistId={}", self.client.id, self.therapist.id);
        answered(self.client.request(Method::DELETE, &path)).await
    }

    async fn read(&self) -> Result<Value> {
        answered(self.therapist.request(Method::GET, &format!("/journal/{}", self.client.id))).await
    }
}

/// Registers users, each from the next loopback address.
struct Registrar<'a> {
    url: &'a str,
    next: u8,
}

impl Registrar<'_> {
    async fn join(&mut self, role: &str) -> Result<Person> {
        let number = self.next;
        self.next += 1;
        let source = IpAddr::V4(Ipv4Addr::new(127, 0, 1, number));
        let http = Client::builder().local_address(source).pool_max_idle_per_host(0).timeout(TIMEOUT).build()?;
        let email = format!("attacked.{number}@example.org");
        let account = json!({"email": email, "password": PASSWORD, "role": role});
        let user = answered(http.post(format!("{}/auth/register", self.url)).json(&account)).await?;
        let id = user["userId"].as_str().ok_or("no id")?.to_owned();
        let mut person = Person { http, url: self.url.to_owned(), id, email, token: String::new() };
        let pair = person.log_in().await?;
        pair["accessToken"].as_str().ok_or("no token")?.clone_into(&mut person.token);
        Ok(person)
    }

    async fn pair(&mut self) -> Result<Pair> {
        let pair = Pair { client: self.join("CLIENT").await?, therapist: self.join("THERAPIST").await? };
        let Pair { client, therapist } = &pair;
        let profile = json!({"name": "Asha Rao", "email": client.email, "pincode": "110001"});
        // Envoy may not have fetched the keys yet.
        let started = Instant::now();
        while let Err(error) = answered(client.request(Method::POST, "/clients").json(&profile)).await {
            if started.elapsed() > RECOVERY {
                return Err(error);
            }
            tokio::time::sleep(PAUSE).await;
        }
        let profile =
            json!({"name": "Noor Haddad", "email": therapist.email, "specialty": "Grief", "pincode": "110001"});
        answered(therapist.request(Method::POST, "/therapists").json(&profile)).await?;
        let mapping = client.request(Method::POST, &format!("/mapping/{}", client.id));
        answered(mapping.json(&json!({"therapistId": therapist.id}))).await?;
        pair.grant().await?;
        let entry = json!({"emotion": "lonely", "intensity": 3, "timestamp": "2026-01-05T12:00:00Z"});
        answered(client.request(Method::POST, &format!("/journal/{}", client.id)).json(&entry)).await?;
        Ok(pair)
    }
}

/// Sends a request that must succeed and returns the answer.
async fn answered(request: RequestBuilder) -> Result<Value> {
    Ok(request.send().await?.error_for_status()?.json().await?)
}

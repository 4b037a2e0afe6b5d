//! Calls the mesh as the people of the demo, and prints each request with its caller, and each response.

use std::io;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use kernel::BoxError;
use reqwest::{Client, Method, Response, StatusCode, Url};
use serde_json::{Value, json};

use super::{CREATED, DELETE, NO_CONTENT, OK, PASSWORD, POST, say};
use crate::invocation;

/// Timeout of a connection to the front.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout of each read of a response; the front's own timeout of a request is shorter.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// A person who is logged in.
#[derive(Clone)]
pub(super) struct Person {
    /// First name and role, for display.
    pub(super) name: String,
    pub(super) id: String,
    pub(super) email: String,
    token: String,
    /// Path of the account.
    account: String,
}

/// Client of a mesh that keeps the accounts it has registered.
pub(super) struct ApiClient {
    pub(super) url: String,
    http: Client,
    /// Prints each request and response.
    shows: bool,
    /// Ends when the demo is to stop.
    interrupted: Shared<BoxFuture<'static, ()>>,
    /// Accounts that have not been ended.
    accounts: Vec<Person>,
}

impl ApiClient {
    /// Creates a client that sends no more requests of the story once `interrupted` ends.
    pub(super) fn new(
        url: &str,
        shows: bool,
        interrupted: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Self, BoxError> {
        let url = url.trim_end_matches('/').to_owned();
        let http = Client::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT).build()?;
        Ok(Self { url, http, shows, interrupted: interrupted.boxed().shared(), accounts: Vec::new() })
    }

    /// Registers a client, and logs in.
    pub(super) async fn join_client(&mut self, name: &str, email: &str) -> Result<Person, BoxError> {
        self.join(&format!("{name}, client"), email, "CLIENT", "clients").await
    }

    /// Registers a therapist, and logs in.
    pub(super) async fn join_therapist(&mut self, name: &str, email: &str) -> Result<Person, BoxError> {
        self.join(&format!("{name}, therapist"), email, "THERAPIST", "therapists").await
    }

    async fn join(&mut self, name: &str, email: &str, role: &str, accounts: &str) -> Result<Person, BoxError> {
        self.unless_interrupted(async { Ok(()) }).await?;
        // From here it isn't interrupted: only with the answers can the account be ended.
        let account = json!({"email": email, "password": PASSWORD, "role": role});
        self.exchange(POST, "/auth/register", name, None, Some(account), CREATED).await?;
        let login = json!({"email": email, "password": PASSWORD});
        let answer = self.exchange(POST, "/auth/login", name, None, Some(login), OK).await?;
        let text = |at| answer.pointer(at).and_then(Value::as_str).map(str::to_owned);
        let id = text("/user/userId").ok_or("the login gave no user")?;
        let person = Person {
            name: name.to_owned(),
            email: email.to_owned(),
            token: text("/accessToken").ok_or("the login gave no access token")?,
            account: format!("/{accounts}/{id}"),
            id,
        };
        self.accounts.push(person.clone());
        Ok(person)
    }

    /// Ends a person's account, also if the demo is interrupted.
    pub(super) async fn end(&mut self, who: &Person) -> Result<(), BoxError> {
        self.exchange(DELETE, &who.account, &who.name, Some(&who.token), None, NO_CONTENT).await?;
        self.accounts.retain(|other| other.id != who.id);
        Ok(())
    }

    /// Ends every account that is left after an error, also when others can't be ended. The error names the first of
    /// those.
    pub(super) async fn end_all(&mut self, cause: &BoxError) -> Result<(), BoxError> {
        // Nobody reads the output any more.
        self.shows &= !cause.is::<io::Error>();
        let mut ended = Ok(());
        for who in self.accounts.clone() {
            if let Err(error) = self.end(&who).await {
                ended = ended.and(Err(format!("the account {} is left: {error}", who.email).into()));
            }
        }
        ended
    }

    /// Sends a request of a person, and returns the response if it has this status.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        who: &Person,
        body: Option<Value>,
        expected: StatusCode,
    ) -> Result<Value, BoxError> {
        self.unless_interrupted(self.exchange(method, path, &who.name, Some(&who.token), body, expected)).await
    }

    async fn unless_interrupted<T>(&self, step: impl Future<Output = Result<T, BoxError>>) -> Result<T, BoxError> {
        tokio::select! {
            biased;
            () = self.interrupted.clone() => Err("the demo was interrupted".into()),
            done = step => done,
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        name: &str,
        token: Option<&str>,
        body: Option<Value>,
        expected: StatusCode,
    ) -> Result<Value, BoxError> {
        let response = self.ask(&method, path, name, token, body.as_ref()).await?;
        let status = response.status();
        let text = response.text().await?;
        let answer = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text)
                .map_err(|_| format!("{} answers {status} without JSON: is it a mesh?", self.url))?
        };
        let shown = if text.is_empty() { String::new() } else { format!("\n  {}", show(&answer)) };
        self.tell(&format!("← {status}{shown}\n"))?;
        if status == expected {
            Ok(answer)
        } else {
            Err(format!("{method} {path} answers {status} to {name}, not {expected}{shown}").into())
        }
    }

    /// Opens a stream of server-sent events.
    pub(super) async fn watch(&self, path: &str, who: &Person) -> Result<Events<'_>, BoxError> {
        let asked = self.ask(&Method::GET, path, &who.name, Some(&who.token), None);
        let response = self.unless_interrupted(asked).await?;
        if response.status() == OK {
            Ok(Events { api: self, response, read: String::new() })
        } else {
            Err(format!("GET {path} answers {} to {}, not {OK}", response.status(), who.name).into())
        }
    }

    async fn ask(
        &self,
        method: &Method,
        path: &str,
        name: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Response, BoxError> {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.url));
        let mut shown = format!("{name} → {method} {path}");
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
            shown.push_str(&format!("\n  {}", show(body)));
        }
        self.tell(&shown)?;
        let answered = request.send().await;
        Ok(answered.map_err(|error| {
            let start = invocation::command();
            format!("{} does not answer ({error}); start the mesh with `{start}`, or give --url", self.url)
        })?)
    }

    fn tell(&self, line: &str) -> Result<(), BoxError> {
        if self.shows { say(line) } else { Ok(()) }
    }
}

/// A stream of server-sent events (HTML Living Standard, section 9.2).
pub(super) struct Events<'a> {
    api: &'a ApiClient,
    response: Response,
    read: String,
}

impl Events<'_> {
    /// Returns the data of the next event.
    pub(super) async fn next(&mut self) -> Result<Value, BoxError> {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let data: String = event.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
                self.read = rest.to_owned();
                if !data.is_empty() {
                    self.api.tell(&format!("← data: {data}\n"))?;
                    return Ok(serde_json::from_str(&data)?);
                }
            } else {
                let (api, response) = (self.api, &mut self.response);
                let read = async { Ok(response.chunk().await?) };
                let chunk = api.unless_interrupted(read).await?.ok_or("the stream of events ended")?;
                self.read.push_str(std::str::from_utf8(&chunk)?);
            }
        }
    }
}

/// Parses the URL of a front.
///
/// # Errors
/// A sentence with the expected form.
pub fn front_url(text: &str) -> Result<String, String> {
    const FORM: &str = "write it as http://host:port";
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "http" && url.has_host()).ok_or(FORM)?;
    let address = url.origin().ascii_serialization();
    let has_more = url.path() != "/" || url.query().is_some() || url.fragment().is_some() || !url.username().is_empty();
    if has_more { Err(format!("{FORM}, with nothing else: {address}")) } else { Ok(address) }
}

/// Formats JSON on one line, without credentials.
fn show(value: &Value) -> String {
    let mut shown = value.clone();
    for secret in ["password", "accessToken", "refreshToken"] {
        if let Some(text) = shown.get_mut(secret) {
            *text = Value::String("…".to_owned());
        }
    }
    shown.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_of_front_is_an_address_alone() {
        for (good, address) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://localhost:8080/", "http://localhost:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(front_url(good), Ok(address.to_owned()));
        }
        for more in ["/docs", "/docs/", "?q=a", "/#top", "//"] {
            let refused = front_url(&format!("http://127.0.0.1:8080{more}")).unwrap_err();
            assert!(refused.ends_with("with nothing else: http://127.0.0.1:8080"), "{more}: {refused}");
        }
        for bad in ["", "nonsense", "127.0.0.1:8080", "https://127.0.0.1:8080", "http://"] {
            assert_eq!(front_url(bad), Err("write it as http://host:port".to_owned()), "{bad}");
        }
    }
}

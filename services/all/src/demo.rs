//! Runs the demo against a running mesh, and prints every request and response.

mod consent;
mod parting;
mod practice;
mod search;

use std::io::Write as _;

use kernel::{BoxError, Clock, Entropy};
use reqwest::{Client, Method, Response, StatusCode, Url};
use serde_json::{Value, json};

/// The password of every account of the demo.
const PASSWORD: &str = "seven quiet herons";

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const DELETE: Method = Method::DELETE;
const OK: StatusCode = StatusCode::OK;
const CREATED: StatusCode = StatusCode::CREATED;
const ACCEPTED: StatusCode = StatusCode::ACCEPTED;
const NO_CONTENT: StatusCode = StatusCode::NO_CONTENT;
const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;
const NOT_FOUND: StatusCode = StatusCode::NOT_FOUND;

/// Runs the demo at `url`: two people find each other, agree on what one may read of the other's journal, make an
/// appointment, write to each other, find texts again, and part.
///
/// # Errors
/// If a response breaks the contract; the error names it.
pub async fn play(url: &str, clock: &dyn Clock, entropy: &dyn Entropy) -> Result<(), BoxError> {
    let tag = entropy.array::<4>().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let api = ApiClient { url: url.trim_end_matches('/').to_owned(), http: Client::new() };
    let (client, therapist) = consent::meet(&api, &tag).await?;
    let grant = consent::agree(&api, &client, &therapist).await?;
    consent::write_and_read(&api, &client, &therapist, &grant).await?;
    practice::make_an_appointment(&api, &client, &therapist, clock.now()).await?;
    practice::write_to_each_other(&api, &client, &therapist).await?;
    search::find_again(&api, &client, &therapist).await?;
    parting::choose_another(&api, &tag, &client, &therapist).await?;
    parting::part(&api, &client).await?;
    say("That was the story so far.")
}

/// Parses the URL of a front.
///
/// # Errors
/// A sentence with the expected form.
pub fn front_url(text: &str) -> Result<String, &'static str> {
    let is_front = Url::parse(text).is_ok_and(|url| url.scheme() == "http" && url.has_host());
    if is_front { Ok(text.to_owned()) } else { Err("write it as http://host:port") }
}

/// A person who is logged in.
struct Person {
    id: String,
    token: String,
}

struct ApiClient {
    url: String,
    http: Client,
}

impl ApiClient {
    /// Registers an account and logs in.
    async fn join(&self, email: &str, role: &str) -> Result<Person, BoxError> {
        let account = json!({"email": email, "password": PASSWORD, "role": role});
        self.send(POST, "/auth/register", None, Some(account), CREATED).await?;
        let login = json!({"email": email, "password": PASSWORD});
        let answer = self.send(POST, "/auth/login", None, Some(login), OK).await?;
        let text = |at| answer.pointer(at).and_then(Value::as_str).map(str::to_owned);
        let (id, token) = (text("/user/userId"), text("/accessToken"));
        Ok(Person { id: id.ok_or("the login gave no user")?, token: token.ok_or("the login gave no access token")? })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        who: Option<&Person>,
        body: Option<Value>,
        expected: StatusCode,
    ) -> Result<Value, BoxError> {
        let response = self.ask(&method, path, who, body.as_ref()).await?;
        let status = response.status();
        let text = response.text().await?;
        let answer = if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? };
        say(&format!(
            "← {status}{}\n",
            if text.is_empty() { String::new() } else { format!("\n  {}", show(&answer)) }
        ))?;
        if status == expected { Ok(answer) } else { Err(format!("{method} {path} should answer {expected}").into()) }
    }

    /// Opens a stream of server-sent events.
    async fn watch(&self, path: &str, who: &Person) -> Result<Events, BoxError> {
        let response = self.ask(&GET, path, Some(who), None).await?;
        if response.status() == OK {
            Ok(Events { response, read: String::new() })
        } else {
            Err(format!("GET {path} should answer {OK}").into())
        }
    }

    async fn ask(
        &self,
        method: &Method,
        path: &str,
        who: Option<&Person>,
        body: Option<&Value>,
    ) -> Result<Response, BoxError> {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.url));
        let mut shown = format!("→ {method} {path}");
        if let Some(who) = who {
            request = request.bearer_auth(&who.token);
        }
        if let Some(body) = body {
            request = request.json(body);
            shown.push_str(&format!("\n  {}", show(body)));
        }
        say(&shown)?;
        let answered = request.send().await;
        Ok(answered.map_err(|error| {
            format!("{} does not answer ({error}); start the mesh with `cargo run`, or give --url", self.url)
        })?)
    }
}

/// A stream of server-sent events (HTML Living Standard, section 9.2).
struct Events {
    response: Response,
    read: String,
}

impl Events {
    /// Returns the data of the next event.
    async fn next(&mut self) -> Result<Value, BoxError> {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let data: String = event.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
                self.read = rest.to_owned();
                if !data.is_empty() {
                    say(&format!("← data: {data}\n"))?;
                    return Ok(serde_json::from_str(&data)?);
                }
            } else {
                let chunk = self.response.chunk().await?.ok_or("the stream of events ended")?;
                self.read.push_str(std::str::from_utf8(&chunk)?);
            }
        }
    }
}

/// Checks that a response has this text at this place.
fn expect(answer: &Value, at: &str, expected: &str) -> Result<(), BoxError> {
    match answer.pointer(at).and_then(Value::as_str) {
        Some(found) if found == expected => Ok(()),
        _ => Err(format!("the answer should have {expected} at {at}").into()),
    }
}

/// Returns the text at a place of a response.
fn text(answer: &Value, at: &str) -> Result<String, BoxError> {
    let found = answer.pointer(at).and_then(Value::as_str).filter(|found| !found.is_empty());
    found.map(str::to_owned).ok_or_else(|| format!("the answer should have a text at {at}").into())
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

fn say(line: &str) -> Result<(), BoxError> {
    writeln!(std::io::stdout(), "{line}").map_err(Into::into)
}

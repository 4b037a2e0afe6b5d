//! Plays the story against a running mesh, and prints every request and answer.

use std::io::Write as _;

use kernel::{BoxError, Entropy};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

/// A password that nobody else has.
const PASSWORD: &str = "seven quiet herons";

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const DELETE: Method = Method::DELETE;
const OK: StatusCode = StatusCode::OK;
const CREATED: StatusCode = StatusCode::CREATED;
const NO_CONTENT: StatusCode = StatusCode::NO_CONTENT;
const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;
const NOT_FOUND: StatusCode = StatusCode::NOT_FOUND;

/// Plays the story at `url`: two people find each other, agree on what one may read of the other's journal, and part.
///
/// # Errors
/// If an answer is not what the contract promises; says which.
pub async fn play(url: &str, entropy: &dyn Entropy) -> Result<(), BoxError> {
    let tag = entropy.array::<4>().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let stage = Stage { url: url.trim_end_matches('/').to_owned(), http: Client::new() };
    let (client, therapist) = meet(&stage, &tag).await?;
    let grant = consent(&stage, &client, &therapist).await?;
    write_and_read(&stage, &client, &therapist, &grant).await?;
    part(&stage, &client, &therapist).await?;
    say("That was the story so far.")
}

/// Both make an account and a profile, and find each other.
async fn meet(stage: &Stage, tag: &str) -> Result<(Person, Person), BoxError> {
    say("A therapist registers, logs in and makes a profile.")?;
    let therapist = stage.join(&format!("noor.{tag}@example.org"), "THERAPIST").await?;
    let profile = json!({"name": format!("Noor Haddad {tag}"), "email": format!("noor.{tag}@example.org"),
        "specialty": "Grief", "pincode": "110001"});
    stage.send(POST, "/therapists", Some(&therapist), Some(profile), CREATED).await?;

    say("A client registers, logs in and makes a profile.")?;
    let client = stage.join(&format!("asha.{tag}@example.org"), "CLIENT").await?;
    let profile = json!({"name": "Asha Rao", "email": format!("asha.{tag}@example.org"), "pincode": "110002"});
    stage.send(POST, "/clients", Some(&client), Some(profile), CREATED).await?;

    say("The client finds the therapist, by specialty and by the beginning of the name, in any case.")?;
    let path = format!("/therapists?specialty=grief&name=noor%20haddad%20{tag}");
    let found = stage.send(GET, &path, Some(&client), None, OK).await?;
    expect(&found, "/0/therapistId", &therapist.id)?;

    say("The therapist looks the client up by address; nobody sees more than that without the client's consent.")?;
    let path = format!("/clients?email=asha.{tag}@example.org");
    let found = stage.send(GET, &path, Some(&therapist), None, OK).await?;
    expect(&found, "/0/clientId", &client.id)?;
    stage.send(GET, &format!("/clients/{}", client.id), Some(&therapist), None, NOT_FOUND).await?;
    Ok((client, therapist))
}

/// The therapist asks, the client agrees: first to a mapping, then to some of the journal. Answers the grant's id.
async fn consent(stage: &Stage, client: &Person, therapist: &Person) -> Result<String, BoxError> {
    say("The therapist asks for a mapping, and the client sees who asks and agrees.")?;
    let ask = format!("/mapping/{}/request", client.id);
    let mapping = json!({"therapistId": therapist.id, "requestType": "MAPPING"});
    stage.send(POST, &ask, Some(therapist), Some(mapping), CREATED).await?;
    let requests = stage.send(GET, &format!("/mapping/{}/requests", client.id), Some(client), None, OK).await?;
    expect(&requests, "/0/requestType", "MAPPING")?;
    let answer = format!("/mapping/{}?therapistId={}", client.id, therapist.id);
    stage.send(PUT, &answer, Some(client), Some(json!({"status": "ACCEPTED"})), OK).await?;

    say("A mapping gives nothing of the journal: the therapist asks for that too.")?;
    stage.send(GET, &format!("/journal/{}", client.id), Some(therapist), None, NOT_FOUND).await?;
    let access = json!({"therapistId": therapist.id, "requestType": "JOURNAL_ACCESS"});
    stage.send(POST, &ask, Some(therapist), Some(access), CREATED).await?;
    let grant = format!("/journal/{}/access?therapistId={}", client.id, therapist.id);
    let granted = stage.send(PUT, &grant, Some(client), Some(json!({"access": "ACCEPTED"})), OK).await?;
    let id = granted["grantId"].as_str().filter(|id| !id.is_empty()).ok_or("the grant has no id")?;
    Ok(id.to_owned())
}

/// The client writes, the therapist reads what is shared, and the client sees who read.
async fn write_and_read(stage: &Stage, client: &Person, therapist: &Person, grant: &str) -> Result<(), BoxError> {
    say("The client records two emotions, one of them for nobody else; the words to choose from are at /emotions.")?;
    let journal = format!("/journal/{}", client.id);
    let shared = json!({"emotion": "lonely", "intensity": 4, "timestamp": "2026-01-05T21:30:00+05:30",
        "note": "The flat was so quiet after the call."});
    let entry = stage.send(POST, &journal, Some(client), Some(shared), CREATED).await?;
    let private = json!({"emotion": "hopeful", "intensity": 2, "timestamp": "2026-01-06T08:00:00+05:30",
        "note": "Not ready to talk about this.", "visibility": "PRIVATE"});
    stage.send(POST, &journal, Some(client), Some(private), CREATED).await?;

    say("The therapist reads what is shared, and nothing else.")?;
    let read = stage.send(GET, &journal, Some(therapist), None, OK).await?;
    expect(&read, "/0/entryId", entry["entryId"].as_str().unwrap_or_default())?;
    if read.as_array().is_none_or(|entries| entries.len() != 1) {
        return Err("a therapist should see the shared entry alone".into());
    }
    let insights =
        format!("{journal}/insights?from=2026-01-05T00:00:00Z&to=2026-01-08T00:00:00Z&timeZone=Asia/Kolkata");
    stage.send(GET, &insights, Some(therapist), None, OK).await?;

    say("The client sees who read what, and on which grant.")?;
    let log = stage.send(GET, &format!("/clients/{}/access-log", client.id), Some(client), None, OK).await?;
    let list = log.as_array().into_iter().flatten().find(|access| access["action"] == "LIST");
    expect(list.ok_or("the log should have the list that was read")?, "/grantId", grant)
}

/// Access ends, the mapping stays; then the account ends, and all of it.
async fn part(stage: &Stage, client: &Person, therapist: &Person) -> Result<(), BoxError> {
    say("The client takes the access back: from that moment on the journal isn't there for the therapist.")?;
    let access = format!("/mapping/{}/access?therapistId={}", client.id, therapist.id);
    stage.send(DELETE, &access, Some(client), None, OK).await?;
    stage.send(GET, &format!("/journal/{}", client.id), Some(therapist), None, NOT_FOUND).await?;
    let related = stage.send(GET, &format!("/clients/{}/therapists", client.id), Some(client), None, OK).await?;
    expect(&related, "/0/mappingStatus", "ACTIVE")?;
    expect(&related, "/0/journalAccess", "REVOKED")?;

    say(
        "The client ends the account: address, logins, profile and mappings are gone, and the journal's key with them.",
    )?;
    stage.send(DELETE, &format!("/clients/{}", client.id), Some(client), None, NO_CONTENT).await?;
    stage.send(GET, "/auth/me", Some(client), None, UNAUTHORIZED).await.map(drop)
}

/// Somebody who is logged in.
struct Person {
    id: String,
    token: String,
}

struct Stage {
    url: String,
    http: Client,
}

impl Stage {
    /// Registers and logs in.
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
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.url));
        let mut shown = format!("→ {method} {path}");
        if let Some(who) = who {
            request = request.bearer_auth(&who.token);
        }
        if let Some(body) = &body {
            request = request.json(body);
            shown.push_str(&format!("\n  {}", show(body)));
        }
        say(&shown)?;
        let response = request.send().await.map_err(|error| {
            format!("{} does not answer ({error}); start the mesh with `cargo run`, or give --url", self.url)
        })?;
        let status = response.status();
        let text = response.text().await?;
        let answer = if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? };
        say(&format!(
            "← {status}{}\n",
            if text.is_empty() { String::new() } else { format!("\n  {}", show(&answer)) }
        ))?;
        if status == expected { Ok(answer) } else { Err(format!("{method} {path} should answer {expected}").into()) }
    }
}

/// Holds an answer to what it must say.
fn expect(answer: &Value, at: &str, expected: &str) -> Result<(), BoxError> {
    match answer.pointer(at).and_then(Value::as_str) {
        Some(found) if found == expected => Ok(()),
        _ => Err(format!("the answer should have {expected} at {at}").into()),
    }
}

/// JSON on one line, without what opens doors.
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

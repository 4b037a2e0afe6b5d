//! Plays the story against a running mesh, and prints every request and answer.

use std::io::Write as _;

use kernel::{BoxError, Entropy};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

/// A password that nobody else has.
const PASSWORD: &str = "seven quiet herons";

/// Plays the story at `url`: two people register and log in, make their profiles, and find each other.
///
/// # Errors
/// If an answer is not what the contract promises; says which.
pub async fn play(url: &str, entropy: &dyn Entropy) -> Result<(), BoxError> {
    let tag = entropy.array::<4>().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let stage = Stage { url: url.trim_end_matches('/').to_owned(), http: Client::new() };

    say("A therapist registers, logs in and makes a profile.")?;
    let therapist = stage.join(&format!("noor.{tag}@example.org"), "THERAPIST").await?;
    let profile = json!({"name": format!("Noor Haddad {tag}"), "email": format!("noor.{tag}@example.org"),
        "specialty": "Grief", "pincode": "110001"});
    stage.send(Method::POST, "/therapists", Some(&therapist), Some(profile), StatusCode::CREATED).await?;

    say("A client registers, logs in and makes a profile.")?;
    let client = stage.join(&format!("asha.{tag}@example.org"), "CLIENT").await?;
    let profile = json!({"name": "Asha Rao", "email": format!("asha.{tag}@example.org"), "pincode": "110002"});
    stage.send(Method::POST, "/clients", Some(&client), Some(profile), StatusCode::CREATED).await?;

    say("The client finds the therapist, by specialty and by the beginning of the name, in any case.")?;
    let path = format!("/therapists?specialty=grief&name=noor%20haddad%20{tag}");
    let found = stage.send(Method::GET, &path, Some(&client), None, StatusCode::OK).await?;
    let id = found.pointer("/0/therapistId").and_then(Value::as_str).ok_or("the therapist was not found")?;
    stage.send(Method::GET, &format!("/therapists/{id}"), Some(&client), None, StatusCode::OK).await?;

    say("The therapist looks the client up by address; nobody sees more than that without the client's consent.")?;
    let path = format!("/clients?email=asha.{tag}@example.org");
    let found = stage.send(Method::GET, &path, Some(&therapist), None, StatusCode::OK).await?;
    let id = found.pointer("/0/clientId").and_then(Value::as_str).ok_or("the client was not found")?.to_owned();
    let path = format!("/clients/{id}");
    stage.send(Method::GET, &path, Some(&therapist), None, StatusCode::NOT_FOUND).await?;

    say("The client ends the account: address, logins and profile are gone.")?;
    stage.send(Method::DELETE, &path, Some(&client), None, StatusCode::NO_CONTENT).await?;
    stage.send(Method::GET, "/auth/me", Some(&client), None, StatusCode::UNAUTHORIZED).await?;
    say("That was the story so far.")
}

struct Stage {
    url: String,
    http: Client,
}

impl Stage {
    /// Registers and logs in; answers the access token.
    async fn join(&self, email: &str, role: &str) -> Result<String, BoxError> {
        let account = json!({"email": email, "password": PASSWORD, "role": role});
        self.send(Method::POST, "/auth/register", None, Some(account), StatusCode::CREATED).await?;
        let login = json!({"email": email, "password": PASSWORD});
        let answer = self.send(Method::POST, "/auth/login", None, Some(login), StatusCode::OK).await?;
        Ok(answer["accessToken"].as_str().ok_or("the login gave no access token")?.to_owned())
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&String>,
        body: Option<Value>,
        expected: StatusCode,
    ) -> Result<Value, BoxError> {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.url));
        let mut shown = format!("→ {method} {path}");
        if let Some(token) = token {
            request = request.bearer_auth(token);
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

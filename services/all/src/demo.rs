//! Plays a story against a running mesh, or fills it with a sandbox.

mod api;
mod consent;
mod parting;
mod practice;
mod sandbox;
mod search;

use std::io::Write as _;

use kernel::{BoxError, Clock, Entropy};
use reqwest::{Method, StatusCode};
use serde_json::Value;

pub use api::front_url;
use api::{ApiClient, Person};

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

/// Plays the story at `url`, and prints every request and response: two people find each other, agree on what one may read
/// of the other's journal, make an appointment, write to each other, find texts again, and part. Ends every account of the
/// story, also if it stops early, by an error or a signal to stop.
///
/// # Errors
/// If a response breaks the contract, or an account can't be ended; the error names it. If it is interrupted.
pub async fn play(url: &str, clock: &dyn Clock, entropy: &dyn Entropy) -> Result<(), BoxError> {
    let mut api = ApiClient::new(url, true, bootstrap::shutdown_signal()?)?;
    match tell(&mut api, &tag(entropy), clock).await {
        Ok(()) => say("That was the story so far. Nothing of it is left; --keep fills a sandbox that stays."),
        Err(error) => Err(undone(&mut api, error).await),
    }
}

/// Fills the mesh at `url` with people to try things with, and prints their logins. Each call makes others.
///
/// # Errors
/// If a response breaks the contract, the error names it, or if it is interrupted. Then the accounts are ended.
pub async fn keep(url: &str, clock: &dyn Clock, entropy: &dyn Entropy) -> Result<(), BoxError> {
    let mut api = ApiClient::new(url, false, bootstrap::shutdown_signal()?)?;
    match sandbox::fill(&mut api, &tag(entropy), clock.now()).await {
        Ok(logins) => say(&logins),
        Err(error) => Err(undone(&mut api, error).await),
    }
}

/// Returns a part of the names and addresses of one call.
fn tag(entropy: &dyn Entropy) -> String {
    entropy.array::<4>().iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn tell(api: &mut ApiClient, tag: &str, clock: &dyn Clock) -> Result<(), BoxError> {
    let (client, therapist) = consent::meet(api, tag).await?;
    let grant = consent::agree(api, &client, &therapist).await?;
    consent::write_and_read(api, &client, &therapist, &grant).await?;
    practice::make_an_appointment(api, &client, &therapist, clock.now()).await?;
    practice::write_to_each_other(api, &client, &therapist).await?;
    search::find_again(api, &client, &therapist).await?;
    let other = parting::choose_another(api, tag, &client, &therapist).await?;
    parting::part(api, &client, [&therapist, &other]).await
}

/// Ends the accounts that are left. Returns the error, and that of the ends if there is one.
async fn undone(api: &mut ApiClient, error: BoxError) -> BoxError {
    match api.end_all(&error).await {
        Ok(()) => error,
        Err(left) => format!("{error}; {left}").into(),
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

fn say(line: &str) -> Result<(), BoxError> {
    writeln!(std::io::stdout(), "{line}").map_err(Into::into)
}

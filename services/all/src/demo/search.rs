//! Finds texts again by the words in them.

use std::time::Duration;

use kernel::BoxError;

use super::{ApiClient, GET, OK, Person, expect, say};

/// Attempts to find a text, and the time between two: the index lags behind what was written.
const ATTEMPTS: (usize, Duration) = (40, Duration::from_millis(250));

/// Finds entries as their client, and an entry, notes and the client as the therapist.
pub(super) async fn find_again(api: &ApiClient, client: &Person, therapist: &Person) -> Result<(), BoxError> {
    say("The client searches the own journal by words, in any of their forms; private entries are found too.")?;
    find(api, client, "/search?q=quiet%20calls&in=JOURNAL", "JOURNAL").await?;
    find(api, client, "/search?q=%22ready%20to%20talk%22", "JOURNAL").await?;

    say("The therapist searches by the beginning of a word: what the client shares, then the own notes.")?;
    find(api, therapist, &format!("/search?q=flat*&clientId={}", client.id), "JOURNAL").await?;
    find(api, therapist, "/search?q=flat*&in=NOTES", "NOTES").await?;

    say("Related clients are found by name, and a private entry by nobody but its client.")?;
    find(api, therapist, "/search?q=asha&in=CLIENTS", "CLIENTS").await?;
    let hits = api.send(GET, "/search?q=ready", therapist, None, OK).await?;
    if hits.as_array().is_some_and(Vec::is_empty) {
        Ok(())
    } else {
        Err("a therapist should not find a private entry".into())
    }
}

/// Searches until the newest hit is of this kind.
async fn find(api: &ApiClient, who: &Person, path: &str, kind: &str) -> Result<(), BoxError> {
    let (attempts, pause) = ATTEMPTS;
    for _ in 1..attempts {
        let hits = api.send(GET, path, who, None, OK).await?;
        if expect(&hits, "/0/kind", kind).is_ok() {
            return Ok(());
        }
        tokio::time::sleep(pause).await;
    }
    Err(format!("GET {path} should find something of {kind}").into())
}

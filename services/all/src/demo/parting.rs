//! Ends relations, and deletes the accounts with all their data.

use kernel::BoxError;
use serde_json::json;

use super::{ApiClient, CREATED, DELETE, GET, NOT_FOUND, OK, POST, PUT, Person, UNAUTHORIZED, expect, say};

/// Revokes the access, then the mapping; rejects another therapist, and maps that therapist later. Returns
/// the other therapist.
pub(super) async fn choose_another(
    api: &mut ApiClient,
    tag: &str,
    client: &Person,
    therapist: &Person,
) -> Result<Person, BoxError> {
    say("The client takes the access back: from that moment on the journal isn't there for the therapist.")?;
    let access = format!("/mapping/{}/access?therapistId={}", client.id, therapist.id);
    api.send(DELETE, &access, client, None, OK).await?;
    let journal = format!("/journal/{}", client.id);
    api.send(GET, &journal, therapist, None, NOT_FOUND).await?;

    say("The client grants it again; the therapist removes the mapping, and the access goes with it.")?;
    let grant = format!("/journal/{}/access?therapistId={}", client.id, therapist.id);
    api.send(PUT, &grant, client, Some(json!({"access": "ACCEPTED"})), OK).await?;
    let mapping = format!("/mapping/{}?therapistId={}", client.id, therapist.id);
    let ended = api.send(DELETE, &mapping, therapist, None, OK).await?;
    expect(&ended, "/journalAccess", "REVOKED")?;
    api.send(GET, &journal, therapist, None, NOT_FOUND).await?;

    say("Another therapist asks, and the client says no, and maps that therapist later all the same.")?;
    let other = api.join_therapist("Omar", &format!("omar.{tag}@example.org")).await?;
    let profile = json!({"name": "Omar Said", "email": format!("omar.{tag}@example.org"),
        "specialty": "Anxiety", "pincode": "110003"});
    api.send(POST, "/therapists", &other, Some(profile), CREATED).await?;
    let request = json!({"requestType": "MAPPING"});
    api.send(POST, &format!("/mapping/{}/request", client.id), &other, Some(request), CREATED).await?;
    let answer = format!("/mapping/{}?therapistId={}", client.id, other.id);
    api.send(PUT, &answer, client, Some(json!({"status": "REJECTED"})), OK).await?;
    let pair = json!({"therapistId": other.id});
    api.send(POST, &format!("/mapping/{}", client.id), client, Some(pair), CREATED).await?;

    say("Both sides see everybody who is related in any way, and how.")?;
    let therapists = format!("/clients/{}/therapists", client.id);
    let related = api.send(GET, &therapists, client, None, OK).await?;
    for (whose, status) in [(therapist, "ENDED"), (&other, "ACTIVE")] {
        let relation = related.as_array().into_iter().flatten().find(|relation| relation["therapistId"] == *whose.id);
        expect(relation.ok_or("both therapists should be related")?, "/mappingStatus", status)?;
    }
    let clients = api.send(GET, &format!("/therapists/{}/clients", therapist.id), therapist, None, OK).await?;
    expect(&clients, "/0/clientId", &client.id)?;
    Ok(other)
}

/// Deletes the accounts with all their data.
pub(super) async fn part(api: &mut ApiClient, client: &Person, therapists: [&Person; 2]) -> Result<(), BoxError> {
    say(
        "The client ends the account: address, logins, profile, mappings, messages and requests are gone, and the key of \
         the journal and of everything else that was sealed with it.",
    )?;
    api.end(client).await?;
    api.send(GET, "/auth/me", client, None, UNAUTHORIZED).await?;

    say("The therapists end theirs: profiles, sessions and notes are gone, and nobody finds them in the directory.")?;
    for therapist in therapists {
        api.end(therapist).await?;
    }
    Ok(())
}

//! How relations end, and the account with all that belongs to it.

use kernel::BoxError;
use serde_json::json;

use super::{CREATED, DELETE, GET, NO_CONTENT, NOT_FOUND, OK, POST, PUT, Person, Stage, UNAUTHORIZED, expect, say};

/// Access ends and the mapping stays, then that ends too; the client says no to one therapist and chooses another.
pub(super) async fn choose_another(
    stage: &Stage,
    tag: &str,
    client: &Person,
    therapist: &Person,
) -> Result<(), BoxError> {
    say("The client takes the access back: from that moment on the journal isn't there for the therapist.")?;
    let access = format!("/mapping/{}/access?therapistId={}", client.id, therapist.id);
    stage.send(DELETE, &access, Some(client), None, OK).await?;
    let journal = format!("/journal/{}", client.id);
    stage.send(GET, &journal, Some(therapist), None, NOT_FOUND).await?;

    say("The client grants it again; the therapist removes the mapping, and the access goes with it.")?;
    let grant = format!("/journal/{}/access?therapistId={}", client.id, therapist.id);
    stage.send(PUT, &grant, Some(client), Some(json!({"access": "ACCEPTED"})), OK).await?;
    let mapping = format!("/mapping/{}?therapistId={}", client.id, therapist.id);
    let ended = stage.send(DELETE, &mapping, Some(therapist), None, OK).await?;
    expect(&ended, "/journalAccess", "REVOKED")?;
    stage.send(GET, &journal, Some(therapist), None, NOT_FOUND).await?;

    say("Another therapist asks, and the client says no, and maps that therapist later all the same.")?;
    let other = stage.join(&format!("omar.{tag}@example.org"), "THERAPIST").await?;
    let profile = json!({"name": "Omar Said", "email": format!("omar.{tag}@example.org"),
        "specialty": "Anxiety", "pincode": "110003"});
    stage.send(POST, "/therapists", Some(&other), Some(profile), CREATED).await?;
    let request = json!({"requestType": "MAPPING"});
    stage.send(POST, &format!("/mapping/{}/request", client.id), Some(&other), Some(request), CREATED).await?;
    let answer = format!("/mapping/{}?therapistId={}", client.id, other.id);
    stage.send(PUT, &answer, Some(client), Some(json!({"status": "REJECTED"})), OK).await?;
    let pair = json!({"therapistId": other.id});
    stage.send(POST, &format!("/mapping/{}", client.id), Some(client), Some(pair), CREATED).await?;

    say("Both sides see everybody who is related in any way, and how.")?;
    let therapists = format!("/clients/{}/therapists", client.id);
    let related = stage.send(GET, &therapists, Some(client), None, OK).await?;
    for (whose, status) in [(therapist, "ENDED"), (&other, "ACTIVE")] {
        let relation = related.as_array().into_iter().flatten().find(|relation| relation["therapistId"] == *whose.id);
        expect(relation.ok_or("both therapists should be related")?, "/mappingStatus", status)?;
    }
    let clients = stage.send(GET, &format!("/therapists/{}/clients", therapist.id), Some(therapist), None, OK).await?;
    expect(&clients, "/0/clientId", &client.id)
}

/// The account ends, and all of it.
pub(super) async fn part(stage: &Stage, client: &Person) -> Result<(), BoxError> {
    say(
        "The client ends the account: address, logins, profile, mappings, messages and requests are gone, and the key of \
         the journal and of everything else that was sealed with it.",
    )?;
    stage.send(DELETE, &format!("/clients/{}", client.id), Some(client), None, NO_CONTENT).await?;
    stage.send(GET, "/auth/me", Some(client), None, UNAUTHORIZED).await.map(drop)
}

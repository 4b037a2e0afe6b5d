//! Introduces the two people to each other, and gives the client's consent.

use kernel::BoxError;
use serde_json::json;

use super::{ACCEPTED, ApiClient, CREATED, GET, NOT_FOUND, OK, POST, PUT, Person, expect, say, text};

/// Creates both accounts and profiles; the client finds the therapist, who invites the client.
pub(super) async fn meet(api: &mut ApiClient, tag: &str) -> Result<(Person, Person), BoxError> {
    say("A therapist registers, logs in and makes a profile.")?;
    let therapist = api.join_therapist("Noor", &format!("noor.{tag}@example.org")).await?;
    let profile = json!({"name": format!("Noor Haddad {tag}"), "email": format!("noor.{tag}@example.org"),
        "specialty": "Grief", "pincode": "110001"});
    api.send(POST, "/therapists", &therapist, Some(profile), CREATED).await?;

    say("A client registers, logs in and makes a profile.")?;
    let client = api.join_client("Asha", &format!("asha.{tag}@example.org")).await?;
    let profile = json!({"name": "Asha Rao", "email": format!("asha.{tag}@example.org"), "pincode": "110002"});
    api.send(POST, "/clients", &client, Some(profile), CREATED).await?;

    say("The client finds the therapist, by specialty and by the beginning of the name, in any case.")?;
    let path = format!("/therapists?specialty=grief&name=noor%20haddad%20{tag}");
    let found = api.send(GET, &path, &client, None, OK).await?;
    expect(&found, "/0/therapistId", &therapist.id)?;

    say("The therapist invites the client by address: whether there is such a client only the client's answer tells.")?;
    let invitation = json!({"email": format!("asha.{tag}@example.org"), "requestType": "MAPPING"});
    api.send(POST, "/invitations", &therapist, Some(invitation), ACCEPTED).await?;
    api.send(GET, &format!("/clients/{}", client.id), &therapist, None, NOT_FOUND).await?;
    Ok((client, therapist))
}

/// Accepts a mapping, then access to the journal. Returns the grant's id.
pub(super) async fn agree(api: &ApiClient, client: &Person, therapist: &Person) -> Result<String, BoxError> {
    say("The client sees who asks for a mapping, and agrees.")?;
    let ask = format!("/mapping/{}/request", client.id);
    let requests = api.send(GET, &format!("/mapping/{}/requests", client.id), client, None, OK).await?;
    expect(&requests, "/0/requestType", "MAPPING")?;
    let answer = format!("/mapping/{}?therapistId={}", client.id, therapist.id);
    api.send(PUT, &answer, client, Some(json!({"status": "ACCEPTED"})), OK).await?;

    say("A mapping gives nothing of the journal: the therapist asks for that too.")?;
    api.send(GET, &format!("/journal/{}", client.id), therapist, None, NOT_FOUND).await?;
    let access = json!({"therapistId": therapist.id, "requestType": "JOURNAL_ACCESS"});
    api.send(POST, &ask, therapist, Some(access), CREATED).await?;
    let grant = format!("/journal/{}/access?therapistId={}", client.id, therapist.id);
    let granted = api.send(PUT, &grant, client, Some(json!({"access": "ACCEPTED"})), OK).await?;
    text(&granted, "/grantId")
}

/// Writes entries as the client, reads the shared one as the therapist, and lists the access log as the client.
pub(super) async fn write_and_read(
    api: &ApiClient,
    client: &Person,
    therapist: &Person,
    grant: &str,
) -> Result<(), BoxError> {
    say("The client records two emotions, one of them for nobody else; the words to choose from are at /emotions.")?;
    let journal = format!("/journal/{}", client.id);
    let shared = json!({"emotion": "lonely", "intensity": 4, "timestamp": "2026-01-05T21:30:00+05:30",
        "note": "The flat was so quiet after the call."});
    let entry = api.send(POST, &journal, client, Some(shared), CREATED).await?;
    let private = json!({"emotion": "hopeful", "intensity": 2, "timestamp": "2026-01-06T08:00:00+05:30",
        "note": "Not ready to talk about this.", "visibility": "PRIVATE"});
    api.send(POST, &journal, client, Some(private), CREATED).await?;

    say("The therapist reads what is shared, and nothing else.")?;
    let read = api.send(GET, &journal, therapist, None, OK).await?;
    expect(&read, "/0/entryId", entry["entryId"].as_str().unwrap_or_default())?;
    if read.as_array().is_none_or(|entries| entries.len() != 1) {
        return Err("a therapist should see the shared entry alone".into());
    }
    let insights =
        format!("{journal}/insights?from=2026-01-05T00:00:00Z&to=2026-01-08T00:00:00Z&timeZone=Asia/Kolkata");
    api.send(GET, &insights, therapist, None, OK).await?;

    say("The client sees who read what, and on which grant.")?;
    let log = api.send(GET, &format!("/clients/{}/access-log", client.id), client, None, OK).await?;
    let list = log.as_array().into_iter().flatten().find(|access| access["action"] == "LIST");
    expect(list.ok_or("the log should have the list that was read")?, "/grantId", grant)
}

//! How the two find each other, and what the client consents to.

use kernel::BoxError;
use serde_json::json;

use super::{ACCEPTED, CREATED, GET, NOT_FOUND, OK, POST, PUT, Person, Stage, expect, say, text};

/// Both make an account and a profile; the client finds the therapist, who invites the client.
pub(super) async fn meet(stage: &Stage, tag: &str) -> Result<(Person, Person), BoxError> {
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

    say("The therapist invites the client by address: whether there is such a client only the client's answer tells.")?;
    let invitation = json!({"email": format!("asha.{tag}@example.org"), "requestType": "MAPPING"});
    stage.send(POST, "/invitations", Some(&therapist), Some(invitation), ACCEPTED).await?;
    stage.send(GET, &format!("/clients/{}", client.id), Some(&therapist), None, NOT_FOUND).await?;
    Ok((client, therapist))
}

/// The client agrees: first to a mapping, then to some of the journal. Answers the grant's id.
pub(super) async fn agree(stage: &Stage, client: &Person, therapist: &Person) -> Result<String, BoxError> {
    say("The client sees who asks for a mapping, and agrees.")?;
    let ask = format!("/mapping/{}/request", client.id);
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
    text(&granted, "/grantId")
}

/// The client writes, the therapist reads what is shared, and the client sees who read.
pub(super) async fn write_and_read(
    stage: &Stage,
    client: &Person,
    therapist: &Person,
    grant: &str,
) -> Result<(), BoxError> {
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

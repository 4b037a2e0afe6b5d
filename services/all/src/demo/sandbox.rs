//! Fills a mesh with people who stay: a client with half a year of entries, two therapists, sessions and messages.

use std::time::Duration;

use kernel::{BoxError, Timestamp};
use serde_json::json;

use super::{ApiClient, CREATED, OK, PASSWORD, POST, PUT, Person, say, text};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Days that the journal reaches back.
const DAYS: u32 = 182;
/// Number of days after which another entry is private.
const PRIVATE_EVERY: u32 = 9;

/// Emotions with their intensities and notes.
const FELT: [(&str, u32, &str); 12] = [
    ("lonely", 4, "The flat was so quiet after the call."),
    ("hopeful", 2, "Wrote down three things that went well."),
    ("anxious", 3, "The meeting was moved again, and I lay awake."),
    ("grateful", 3, "My sister came by with soup."),
    ("sad", 4, "Found the old photographs."),
    ("cheerful", 2, "Walked along the river before work."),
    ("worried", 3, "No news from the clinic."),
    ("weary", 2, ""),
    ("proud", 4, "Said no, and it was all right."),
    ("nervous", 2, "First evening at the choir."),
    ("content", 1, ""),
    ("tearful", 5, "Her birthday. I rang my brother."),
];

/// Days from now, start and end of the sessions that a therapist offers.
const OFFERED: [(u32, &str, &str); 4] =
    [(3, "10:00", "10:50"), (7, "11:00", "11:50"), (10, "16:00", "16:50"), (14, "10:00", "10:50")];

/// Fills the sandbox. Returns a text with the logins.
pub(super) async fn fill(api: &mut ApiClient, tag: &str, now: Timestamp) -> Result<String, BoxError> {
    say(&format!("A sandbox is filled at {}: accounts, entries, sessions and messages.", api.url))?;
    let client = join(api, "Asha", "Asha Rao", tag, None).await?;
    let noor = join(api, "Noor", "Noor Haddad", tag, Some("Grief")).await?;
    let omar = join(api, "Omar", "Omar Said", tag, Some("Anxiety")).await?;
    let entries = keep_journal(api, &client, now).await?;
    agree(api, &client, &noor, &omar).await?;
    offer_and_book(api, &client, [&noor, &omar], now).await?;
    write(api, &client, &noor, &omar).await?;
    Ok(format!(
        "The sandbox is filled, and stays. Log in at {url}/ or by POST /auth/login; the password is `{PASSWORD}` for each:
  client     {client}  {entries} entries of half a year, some private
  therapist  {noor}  reads the journal, has sessions booked, asked for and free
  therapist  {omar}  is mapped, and waits for access to the journal",
        url = api.url,
        client = client.email,
        noor = noor.email,
        omar = omar.email,
    ))
}

/// Creates an account with its profile; a therapist's has a specialty.
async fn join(
    api: &mut ApiClient,
    name: &str,
    full_name: &str,
    tag: &str,
    specialty: Option<&str>,
) -> Result<Person, BoxError> {
    let email = format!("{}.{tag}@example.org", name.to_lowercase());
    let mut profile = json!({"name": full_name, "email": email, "pincode": "110001"});
    let (person, path) = if let Some(specialty) = specialty {
        profile["specialty"] = specialty.into();
        (api.join_therapist(name, &email).await?, "/therapists")
    } else {
        (api.join_client(name, &email).await?, "/clients")
    };
    api.send(POST, path, &person, Some(profile), CREATED).await?;
    Ok(person)
}

/// Records emotions on four days of each week. Returns their number.
async fn keep_journal(api: &ApiClient, client: &Person, now: Timestamp) -> Result<usize, BoxError> {
    let path = format!("/journal/{}", client.id);
    let days: Vec<u32> = (1..=DAYS).rev().filter(|day| day * 5 % 7 < 4).collect();
    for (day, (emotion, intensity, note)) in days.iter().zip(FELT.iter().cycle()) {
        let felt = now - DAY * *day + HOUR * (day % 12);
        let visibility = if day % PRIVATE_EVERY == 0 { "PRIVATE" } else { "SHARED" };
        let entry = json!({"emotion": emotion, "intensity": intensity, "timestamp": felt.to_string(), "note": note,
            "visibility": visibility});
        api.send(POST, &path, client, Some(entry), CREATED).await?;
    }
    Ok(days.len())
}

/// Maps both therapists. One gets access to the journal, and the other asks for it.
async fn agree(api: &ApiClient, client: &Person, noor: &Person, omar: &Person) -> Result<(), BoxError> {
    for therapist in [noor, omar] {
        let pair = json!({"therapistId": therapist.id});
        api.send(POST, &format!("/mapping/{}", client.id), client, Some(pair), CREATED).await?;
    }
    let grant = format!("/journal/{}/access?therapistId={}", client.id, noor.id);
    api.send(PUT, &grant, client, Some(json!({"access": "ACCEPTED"})), OK).await?;
    let request = json!({"requestType": "JOURNAL_ACCESS"});
    api.send(POST, &format!("/mapping/{}/request", client.id), omar, Some(request), CREATED).await.map(drop)
}

/// Offers sessions of both therapists. Of the first therapist's, one is booked and one asked for.
async fn offer_and_book(
    api: &ApiClient,
    client: &Person,
    therapists: [&Person; 2],
    now: Timestamp,
) -> Result<(), BoxError> {
    for (number, therapist) in therapists.into_iter().enumerate() {
        for (at, (days, start, end)) in OFFERED.into_iter().enumerate() {
            let date = (now + DAY * days).to_string();
            let date = format!("{}T00:00:00Z", date.get(..10).ok_or("a time begins with its date")?);
            let session = json!({"sessionDate": date, "startTime": start, "endTime": end,
                "privateNotes": "Ask about the flat.", "sharedNotes": "Bring three things that helped."});
            let session = api.send(POST, "/sessions", therapist, Some(session), CREATED).await?;
            if number > 0 || at > 1 {
                continue;
            }
            let wanted = json!({"therapistId": therapist.id, "sessionId": text(&session, "/sessionId")?,
                "appointmentDate": date});
            let asked = api.send(POST, "/appointments", client, Some(wanted), CREATED).await?;
            if at == 0 {
                let status = format!("/appointments/{}/status", text(&asked, "/appointmentId")?);
                api.send(PUT, &status, therapist, Some(json!({"status": "ACCEPTED"})), OK).await?;
            }
        }
    }
    Ok(())
}

/// Writes messages between the client and each therapist. The last one is unread.
async fn write(api: &ApiClient, client: &Person, noor: &Person, omar: &Person) -> Result<(), BoxError> {
    for (from, to, message) in [
        (client, noor, "Could we begin a little later on that day?"),
        (noor, client, "Ten past is fine."),
        (client, noor, "Thank you. I have been writing more since."),
        (noor, client, "I have seen it. Bring what you like of it."),
        (client, omar, "Do you have time in two weeks?"),
        (omar, client, "I do. May I read your journal before that?"),
    ] {
        let message = json!({"receiverId": to.id, "message": message});
        api.send(POST, "/messages", from, Some(message), CREATED).await?;
    }
    Ok(())
}

//! Contract rule 21: text that shows nothing is no text, and text of one line keeps its direction.

use kit::mesh::{PASSWORD, Someone, TestMesh};
use kit::test_env::TestEnv;
use reqwest::Method;
use serde_json::{Value, json};

kit::on_each_env!(
    text_that_shows_nothing_is_missing,
    text_that_changes_direction_is_refused_in_a_line,
    joiners_inside_words_are_kept,
    name_is_found_with_and_without_characters_that_show_nothing,
);

const BLANK: [&str; 8] =
    [" \t", "\u{200b}", "\u{2800}", "\u{3164}", "\u{ad}", "\u{feff}", "\u{2060}", "\u{200d} \u{200e}"];

/// Requests with a required text in these fields, each with the person who sends it.
fn requests<'a>(
    asha: &'a Someone,
    noor: &'a Someone,
    text: &str,
) -> Vec<(&'a str, String, Option<&'a Someone>, Value)> {
    let felt = "2099-12-31T12:00:00Z";
    vec![
        ("name", "/clients".to_owned(), Some(asha), json!({"name": text, "email": asha.email, "pincode": "110001"})),
        ("pincode", "/clients".to_owned(), Some(asha), json!({"name": "A", "email": asha.email, "pincode": text})),
        ("email", "/clients".to_owned(), Some(asha), json!({"name": "A", "email": text, "pincode": "110001"})),
        (
            "name",
            "/therapists".to_owned(),
            Some(noor),
            json!({"name": text, "email": noor.email, "specialty": "Grief", "pincode": "110001"}),
        ),
        (
            "specialty",
            "/therapists".to_owned(),
            Some(noor),
            json!({"name": "N", "email": noor.email, "specialty": text, "pincode": "110001"}),
        ),
        (
            "emotion",
            format!("/journal/{}", asha.id),
            Some(asha),
            json!({"emotion": text, "intensity": 2, "timestamp": felt}),
        ),
        ("email", "/invitations".to_owned(), Some(noor), json!({"email": text, "requestType": "MAPPING"})),
        ("email", "/auth/register".to_owned(), None, json!({"email": text, "password": PASSWORD, "role": "CLIENT"})),
        ("email", "/auth/login".to_owned(), None, json!({"email": text, "password": PASSWORD})),
    ]
}

fn message(noor: &Someone, text: &str) -> Value {
    json!({"receiverId": noor.id, "message": text})
}

async fn text_that_shows_nothing_is_missing(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = (mesh.join("CLIENT").await, mesh.join("THERAPIST").await);
    let asked = |text: &str| {
        let mut asked = requests(&asha, &noor, text);
        asked.push(("message", "/messages".to_owned(), Some(&asha), message(&noor, text)));
        asked
    };
    for blank in BLANK {
        for ((field, path, who, empty), (.., body)) in asked("").into_iter().zip(asked(blank)) {
            let missing = mesh.ask(Method::POST, &path, who, Some(empty)).await;
            let refused = mesh.ask(Method::POST, &path, who, Some(body)).await;
            refused.refused(400, "INVALID_FIELDS");
            assert_eq!(refused.bad_fields(), [field], "{path} {blank:?}");
            assert_eq!(refused.body["message"], missing.body["message"], "{path} {blank:?}");
        }
    }
    mesh.stop().await;
}

async fn text_that_changes_direction_is_refused_in_a_line(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = (mesh.join("CLIENT").await, mesh.join("THERAPIST").await);
    for text in ["a\u{202e}b", "a\u{2067}b\u{2069}", "a\u{202a}b", "a\u{7}b"] {
        for (field, path, who, body) in requests(&asha, &noor, text) {
            let refused = mesh.ask(Method::POST, &path, who, Some(body)).await;
            refused.refused(400, "INVALID_FIELDS");
            assert_eq!(refused.bad_fields(), [field], "{path} {text:?}");
        }
    }
    // Text of several lines may say its direction.
    let noor = mesh.therapist("Noor", "Grief", "110001").await;
    let asha = mesh.client("Asha").await;
    let said = "\u{202b}شكرا\u{202c}\nThank you";
    let sent = mesh.ask(Method::POST, "/messages", Some(&asha), Some(message(&noor, said))).await.expect(201);
    assert_eq!(sent["message"], said);
    mesh.stop().await;
}

async fn joiners_inside_words_are_kept(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    for name in ["क्\u{200d}ष", "می\u{200c}خواهم", "\u{200f}שרה", "👩\u{200d}⚕\u{fe0f}"] {
        let asha = mesh.client(name).await;
        assert_eq!(mesh.get(&format!("/clients/{}", asha.id), &asha).await.expect(200)["name"], name);
        let felt = json!({"emotion": name, "intensity": 2, "timestamp": "2099-12-31T12:00:00Z"});
        let path = format!("/journal/{}", asha.id);
        assert_eq!(mesh.ask(Method::POST, &path, Some(&asha), Some(felt)).await.expect(201)["emotion"], name);
    }
    mesh.stop().await;
}

async fn name_is_found_with_and_without_characters_that_show_nothing(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    mesh.therapist("Mari\u{ad}anne", "Family\u{200b} therapy", "110001").await;
    let plain = mesh.therapist("Marianne", "Family therapy", "110001").await;
    for query in [
        "name=marianne",
        "name=mari%C2%ADanne",
        "name=MARI%E2%80%8DA",
        "specialty=family%20therapy",
        "specialty=fam%E2%81%A0ily%20therapy&name=maria",
    ] {
        let found = mesh.get(&format!("/therapists?{query}"), &plain).await.expect(200);
        assert_eq!(found.as_array().unwrap().len(), 2, "{query}");
    }
    let all = mesh.get("/therapists?name=%E2%80%8B", &plain).await.expect(200);
    assert_eq!(all.as_array().unwrap().len(), 2, "a prefix that shows nothing is none");
    mesh.stop().await;
}

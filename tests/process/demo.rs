//! The demo: a story that leaves nothing behind, and a sandbox that stays.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use kit::wait;
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::process::{Process, mesh, run};

const PASSWORD: &str = "seven quiet herons";

/// Runs the demo with these arguments. Returns whether it succeeded, its output, and its errors.
fn demo(arguments: &[&str]) -> (bool, String, String) {
    let mut demo = mesh(&[]);
    demo.arg("demo").args(arguments);
    told_by(demo)
}

fn told_by(command: Command) -> (bool, String, String) {
    let done = run(command);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (done.status.success(), text(done.stdout), text(done.stderr))
}

/// Returns the addresses of the demo in a text, each once.
fn addresses(told: &str) -> Vec<&str> {
    let words = told.split(|c: char| c.is_whitespace() || c == '"');
    let mut addresses: Vec<_> = words.filter(|word| word.ends_with("@example.org")).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

async fn login(mesh: &Process, email: &str) -> (u16, Value) {
    let login = json!({"email": email, "password": PASSWORD});
    let answer = mesh.ask(Method::POST, "/auth/login", None, Some(login)).await;
    (answer.status, answer.body)
}

#[tokio::test(flavor = "multi_thread")]
async fn story_names_callers_and_leaves_nothing_behind() {
    let data = tempfile::tempdir().unwrap();
    let mesh = Process::start(data.path());
    for _ in 0..2 {
        let (done, told, errors) = demo(&["--url", &mesh.url]);
        assert!(done, "{told}\n{errors}");
        for line in [
            "Noor, therapist → POST /auth/register",
            "Asha, client → PUT /mapping/",
            "Omar, therapist → POST /therapists",
            "Asha, client → DELETE /clients/",
            "Noor, therapist → DELETE /therapists/",
            "Omar, therapist → DELETE /therapists/",
        ] {
            assert!(told.contains(line), "{line} in {told}");
        }
        assert!(!told.contains(PASSWORD), "a password is never shown");
        let people = addresses(&told);
        assert_eq!(people.len(), 3, "{people:?}");
        for email in people {
            assert_eq!(login(&mesh, email).await.0, 401, "{email}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn story_that_stops_early_ends_its_accounts() {
    let data = tempfile::tempdir().unwrap();
    // The story registers three people.
    let mesh = Process::start_with(data.path(), &[("MESH_SOURCE_REGISTRATIONS", "2")]);
    let (done, told, errors) = demo(&["--url", &mesh.url]);
    assert!(!done && errors.contains("POST /auth/register answers 429 Too Many Requests to Omar"), "{told}\n{errors}");
    for email in addresses(&told).iter().filter(|email| !email.starts_with("omar")) {
        assert_eq!(login(&mesh, email).await.0, 401, "{email}");
    }
    assert!(told.contains("Asha, client → DELETE /clients/") && told.contains("Noor, therapist → DELETE /therapists/"));
}

/// Starts the demo, and reads its output up to the end of a request that begins so.
fn demo_until(mesh: &Process, request: &str) -> (Child, BufReader<ChildStdout>, String) {
    let mut demo = crate::process::mesh(&[]);
    demo.args(["demo", "--url", &mesh.url]);
    let mut child = demo.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut told = String::new();
    while !told.lines().rev().nth(1).is_some_and(|line| line.starts_with(request)) {
        assert!(output.read_line(&mut told).unwrap() > 0, "{told}");
    }
    (child, output, told)
}

fn succeeds(mut demo: Child) -> bool {
    wait::blocking("the demo ends", || demo.try_wait().unwrap()).success()
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_story_ends_its_accounts() {
    let data = tempfile::tempdir().unwrap();
    let mesh = Process::start(data.path());
    for signal in [Signal::INT, Signal::TERM] {
        let (demo, mut output, mut told) = demo_until(&mesh, "Noor, therapist → POST /auth/register");
        kill_process(Pid::from_child(&demo), signal).unwrap();
        std::io::Read::read_to_string(&mut output, &mut told).unwrap();
        assert!(!succeeds(demo), "{told}");
        assert!(told.contains("Noor, therapist → DELETE /therapists/"), "{told}");
        assert_eq!(login(&mesh, addresses(&told)[0]).await.0, 401, "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn story_that_nobody_reads_ends_its_accounts() {
    let data = tempfile::tempdir().unwrap();
    let mesh = Process::start(data.path());
    let (demo, output, told) = demo_until(&mesh, "Noor, therapist → POST /therapists");
    assert_eq!(login(&mesh, addresses(&told)[0]).await.0, 200, "{told}");
    drop(output);
    assert!(!succeeds(demo));
    assert_eq!(login(&mesh, addresses(&told)[0]).await.0, 401, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sandbox_stays_and_its_logins_work() {
    let data = tempfile::tempdir().unwrap();
    let mesh = Process::start(data.path());
    let mut seen = Vec::new();
    for _ in 0..2 {
        let (done, told, errors) = demo(&["--keep", "--url", &mesh.url]);
        assert!(done, "{told}\n{errors}");
        assert!(told.contains(PASSWORD) && told.contains(&mesh.url), "{told}");
        let people = addresses(&told);
        let [asha, noor, omar] = people[..] else { panic!("three people, not {people:?}") };
        assert!(people.iter().all(|email| !seen.contains(&(*email).to_owned())), "{people:?}");
        seen.extend(people.iter().map(|email| (*email).to_owned()));

        let mut tokens = Vec::new();
        for email in [asha, noor, omar] {
            let (status, body) = login(&mesh, email).await;
            assert_eq!(status, 200, "{email}: {body}");
            tokens.push((body["accessToken"].as_str().unwrap().to_owned(), body["user"]["userId"].clone()));
        }
        let [client, noor, omar] = &tokens[..] else { panic!("three logins") };
        let list = async |path: &str, who: &(String, Value)| {
            let answer = mesh.ask(Method::GET, path, Some(&who.0), None).await.expect(200);
            answer.as_array().expect("a list").clone()
        };
        let id = client.1.as_str().unwrap();
        let journal = format!("/journal/{id}?pageSize=200");
        let (own, shared) = (list(&journal, client).await, list(&journal, noor).await);
        assert!(own.len() > 100 && !shared.is_empty() && shared.len() < own.len(), "{} {}", own.len(), shared.len());
        assert!(told.contains(&format!("{} entries", own.len())), "{told}");
        mesh.ask(Method::GET, &journal, Some(&omar.0), None).await.expect(404);
        assert_eq!(list(&format!("/mapping/{id}/requests"), client).await[0]["requestType"], "JOURNAL_ACCESS");
        assert_eq!(list(&format!("/clients/{id}/therapists"), client).await.len(), 2);
        assert_eq!(list("/messages/conversations", client).await.len(), 2);
        for (therapist, states) in [(noor, ["AVAILABLE", "BOOKED"]), (omar, ["AVAILABLE", "AVAILABLE"])] {
            let sessions = list(&format!("/sessions?therapistId={}", therapist.1.as_str().unwrap()), therapist).await;
            for state in states {
                assert!(sessions.iter().any(|session| session["status"] == state), "{state} in {sessions:?}");
            }
        }
        assert_eq!(list("/appointments?status=PENDING", noor).await.len(), 1);
    }
}

/// The announcement names the program as it was started, so that its lines can be pasted.
#[test]
fn announced_commands_run_as_shown() {
    let data = tempfile::tempdir().unwrap();
    let mesh = Process::start(data.path());
    let lines: Vec<_> = mesh.announcement.lines().filter(|line| line.contains("demo --")).collect();
    assert_eq!(lines.len(), 2, "{}", mesh.announcement);
    for line in lines {
        let command = line.trim_start().trim_start_matches("try").trim_start();
        assert!(command.starts_with(env!("CARGO_BIN_EXE_mesh")), "{command}");
        let mut shell = Command::new("bash");
        shell.env_clear().stdin(Stdio::null()).args(["-c", command]);
        let (done, told, errors) = told_by(shell);
        assert!(done && told.contains("@example.org"), "{command}: {told}\n{errors}");
    }
}

#[test]
fn announcement_under_cargo_run_names_cargo_run() {
    let data = tempfile::tempdir().unwrap();
    let mesh = Process::start_with(data.path(), &[("CARGO_MANIFEST_DIR", env!("CARGO_MANIFEST_DIR"))]);
    assert!(
        mesh.announced("try").starts_with(&format!("cargo run -- demo --url {}", mesh.url)),
        "{}",
        mesh.announcement
    );
    assert!(
        mesh.announcement.contains(&format!("cargo run -- demo --keep --url {}", mesh.url)),
        "{}",
        mesh.announcement
    );
}

#[test]
fn demo_without_mesh_explains_how_to_start_one() {
    for (settings, command) in
        [(&[][..], env!("CARGO_BIN_EXE_mesh")), (&[("CARGO_MANIFEST_DIR", env!("CARGO_MANIFEST_DIR"))], "cargo run")]
    {
        for arguments in [&["demo"][..], &["demo", "--keep"]] {
            let mut demo = mesh(settings);
            demo.args(arguments).args(["--url", "http://127.0.0.1:1"]);
            let (done, _, errors) = told_by(demo);
            assert!(!done && errors.contains(&format!("start the mesh with `{command}`")), "{errors}");
        }
    }
}

#[test]
fn demo_with_invalid_url_explains_format() {
    for wrong in ["nonsense", "127.0.0.1:8080", "https://127.0.0.1:8080"] {
        let (done, _, errors) = demo(&["--url", wrong]);
        assert!(!done && errors.contains("write it as http://host:port"), "{errors}");
    }
    let (done, told, errors) = demo(&["--url", "http://127.0.0.1:8080/docs"]);
    assert!(!done && told.is_empty(), "{told}");
    assert!(errors.contains("write it as http://host:port, with nothing else: http://127.0.0.1:8080"), "{errors}");
}

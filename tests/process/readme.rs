//! The tour of the README and the commands of docs/calling.md, each run in one shell against a new mesh.
//!
//! Every block ```` ```console ```` of the tour's section or of the page holds commands and their answers. A command is a
//! line that begins with `$ ` and continues while the line ends with a backslash. Answers are compared exactly, except that
//! `…` matches any text on one line, that default addresses stand for those of the mesh, and `cargo run` for the binary.

use std::fs::{read_to_string, write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use proto::registry::SERVICES;

use crate::process::Process;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const ADDRESS: &str = "127.0.0.1:8080";
const SECTION: &str = "## A tour";
/// Separator that the shell prints after each command; no answer contains it.
const MARK: &str = "--- the next command ---";

#[derive(Debug, PartialEq)]
struct Step {
    command: String,
    answer: String,
}

fn section(readme: &str) -> impl Iterator<Item = &str> {
    let tour = readme.lines().skip_while(|line| *line != SECTION).skip(1);
    tour.take_while(|line| !line.starts_with("## "))
}

fn steps<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut in_block, mut goes_on) = (false, false);
    for line in lines {
        match line {
            "```console" => in_block = true,
            "```" => in_block = false,
            _ if !in_block => {}
            _ if goes_on => {
                let step = steps.last_mut().expect("a command goes on");
                step.command = format!("{}\n{line}", step.command);
                goes_on = line.ends_with('\\');
            }
            _ => match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => {
                    steps.push(Step { command: command.to_owned(), answer: String::new() });
                    goes_on = command.ends_with('\\');
                }
                (None, Some(step)) => step.answer = format!("{}{line}\n", step.answer),
                (None, None) => panic!("it begins with an answer: {line}"),
            },
        }
    }
    steps
}

/// Returns true if a line matches the shown one, in which `…` matches any text.
fn is_shown(shown: &str, line: &str) -> bool {
    let Some((before, after)) = shown.split_once('…') else { return shown == line };
    let Some(rest) = line.strip_prefix(before) else { return false };
    let mut starts = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    starts.any(|at| is_shown(after, &rest[at..]))
}

fn is_answer(shown: &str, answer: &str) -> bool {
    let (shown, answer) = (shown.trim_end(), answer.trim_end());
    shown.lines().count() == answer.lines().count() && shown.lines().zip(answer.lines()).all(|(s, a)| is_shown(s, a))
}

/// Plays commands against a new mesh, and compares their answers. `programs` is a directory of programs to be found.
fn play(steps: &[Step], programs: Option<&Path>) {
    assert!(!steps.is_empty(), "there are ```console blocks and `$ ` commands");
    assert!(steps.iter().any(|step| step.command.contains(ADDRESS)), "the commands speak to {ADDRESS}");
    let data = tempfile::tempdir().unwrap();
    let mesh = Process::start(data.path());
    let mut stand_ins = vec![
        (ADDRESS.to_owned(), mesh.url.trim_start_matches("http://").to_owned()),
        ("cargo run -q --".to_owned(), env!("CARGO_BIN_EXE_mesh").to_owned()),
    ];
    for service in mesh.announced("services").split(", ") {
        let (name, address) = service.split_once(' ').expect("a name and an address");
        let entry = SERVICES.iter().find(|entry| entry.name == name).expect("a service");
        stand_ins.push((entry.address.trim_start_matches("http://").to_owned(), address.to_owned()));
    }

    let script: String = steps.iter().map(|step| format!("{}\nprintf '\\n%s\\n' '{MARK}'\n", step.command)).collect();
    let script = stand_ins.iter().fold(script, |script, (shown, real)| script.replace(shown, real));
    let file = data.path().join("tour.sh");
    write(&file, script).unwrap();
    let mut shell = Command::new("bash");
    shell.arg(&file).env("MESH_DATA_DIR", data.path());
    if let Some(programs) = programs {
        let found = std::env::join_paths([programs, Path::new("/usr/bin"), Path::new("/bin")]).unwrap();
        shell.env("PATH", found);
    }
    let played = shell.output().expect("bash runs");
    let said = String::from_utf8(played.stdout).expect("answers in UTF-8");
    let said = stand_ins.iter().fold(said, |said, (shown, real)| said.replace(real, shown));
    let stderr = String::from_utf8_lossy(&played.stderr);
    assert_eq!(stderr, "", "the shell complains; the tour needs curl");

    let mark = format!("\n{MARK}\n");
    let mut answers = said.split(&mark);
    for Step { command, answer: shown } in steps {
        let answer = answers.next().expect("an answer to each command");
        assert!(is_answer(shown, answer), "$ {command}\nshould answer\n{shown}\nbut answers\n{answer}");
    }
}

#[test]
fn readme_tour_runs_as_documented() {
    let readme = read_to_string(format!("{ROOT}/README.md")).expect("there is a README.md");
    play(&steps(section(&readme)), None);
}

#[test]
fn calling_page_runs_as_documented() {
    let page = read_to_string(format!("{ROOT}/docs/calling.md")).expect("there is a docs/calling.md");
    let tool = Command::new(format!("{ROOT}/.ci/tools")).arg("grpcurl").output().expect("the tools are there");
    let programs = tempfile::tempdir().unwrap();
    let tool = String::from_utf8(tool.stdout).expect("a path in UTF-8");
    symlink(tool.trim_end(), programs.path().join("grpcurl")).unwrap();
    play(&steps(page.lines()), Some(programs.path()));
}

#[test]
fn ellipsis_matches_any_text_on_its_line() {
    for (shown, answer, is) in [
        ("a", "a\n", true),
        ("a", "b", false),
        ("a", "ab", false),
        ("{\"id\":\"…\"}", "{\"id\":\"7\"}", true),
        ("{\"id\":\"…\"}", "{\"id\":\"7\",\"x\":1}", false),
        ("[…\"b\"…]", "[\"a\",\"b\",\"c\"]", true),
        ("[…\"d\"…]", "[\"a\",\"b\",\"c\"]", false),
        ("…", "", false),
        ("a\n…", "a\nb", true),
        ("a\n…", "a", false),
    ] {
        assert_eq!(is_answer(shown, answer), is, "{shown:?} for {answer:?}");
    }
}

#[test]
fn tour_is_parsed_into_commands_and_answers() {
    let readme = "## A tour\n\ntext\n\n```console\n$ one \\\n    more\n1\n2\n$ two\n```\n```sh\n$ no\n```\n## Next\n```console\n$ no\n```\n";
    let step = |command: &str, answer: &str| Step { command: command.to_owned(), answer: answer.to_owned() };
    assert_eq!(steps(section(readme)), [step("one \\\n    more", "1\n2\n"), step("two", "")]);
}

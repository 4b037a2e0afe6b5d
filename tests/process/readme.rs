//! The tour of the README, run in one shell against a new mesh.
//!
//! Every block ```` ```console ```` of the section "A tour" holds commands and their answers. A command is a line that
//! begins with `$ ` and continues while the line ends with a backslash. Answers are compared exactly, except that `…`
//! matches any text on one line, and that the address in the README stands for that of the mesh.

use std::fs::{read_to_string, write};
use std::process::Command;

use crate::process::Process;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
const ADDRESS: &str = "http://127.0.0.1:8080";
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

fn steps(readme: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut in_block, mut goes_on) = (false, false);
    for line in section(readme) {
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
                (None, None) => panic!("the tour begins with an answer: {line}"),
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

#[test]
fn readme_tour_runs_as_documented() {
    let readme = read_to_string(README).expect("there is a README.md");
    let steps = steps(&readme);
    assert!(!steps.is_empty(), "README.md has a section {SECTION:?} with ```console blocks and `$ ` commands");
    assert!(steps.iter().any(|step| step.command.contains(ADDRESS)), "the tour speaks to {ADDRESS}");

    let data = tempfile::tempdir().unwrap();
    let mesh = Process::start(data.path());
    let script: String = steps.iter().map(|step| format!("{}\nprintf '\\n%s\\n' '{MARK}'\n", step.command)).collect();
    let file = data.path().join("tour.sh");
    write(&file, script.replace(ADDRESS, &mesh.url)).unwrap();
    let played = Command::new("bash").arg(&file).output().expect("bash runs");
    let said = String::from_utf8(played.stdout).expect("answers in UTF-8").replace(&mesh.url, ADDRESS);
    let stderr = String::from_utf8_lossy(&played.stderr);
    assert_eq!(stderr, "", "the shell complains; the tour needs curl");

    let mark = format!("\n{MARK}\n");
    let mut answers = said.split(&mark);
    for Step { command, answer: shown } in &steps {
        let answer = answers.next().expect("an answer to each command");
        assert!(is_answer(shown, answer), "$ {command}\nshould answer\n{shown}\nbut answers\n{answer}");
    }
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
    assert_eq!(steps(readme), [step("one \\\n    more", "1\n2\n"), step("two", "")]);
}

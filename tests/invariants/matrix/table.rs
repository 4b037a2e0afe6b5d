//! The matrix as text, compared with the golden table.

use std::fmt::Write as _;
use std::{env, fs};

use crate::matrix::fixtures::CALLER_KINDS;
use crate::matrix::wire::SHORT;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/invariants/matrix.txt");

/// Variable that, set to anything, replaces the golden table by the one that was found.
const ACCEPT: &str = "MATRIX_ACCEPT";

const HEAD: &str = "\
Who may call what, and what the others are told. A row is an RPC, a column a kind of caller:

client           the client whom the call names
other client     a client whom it doesn't
access           a therapist who is mapped to the client, with access to the journal
mapped           a therapist who is mapped, without access
formerly         a therapist who was mapped and had access
requested        a therapist whose request for a mapping is not answered
unrelated        a therapist who has nothing to do with the client
other therapist  like 'access', but the therapist whom the call names is another one
nobody           no token at all
other service    a service that the rule doesn't name
named service    a service that the rule names, on behalf of a therapist with access

Rows of sessions, appointments and messages are played with something between the client and the named therapist: 'asked for'
is a session of the therapist that the client has asked for, 'booked' one that the client has, 'formerly booked' one whose
appointment the client has revoked, 'cancelled' one that the therapist has cancelled after that. Contact is part of these, so
that every therapist is related there. The 'other therapist' and the 'other client' have nothing to do with it.
";

/// A table of cells.
pub(crate) struct Table {
    lines: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(columns: [&'static str; CALLER_KINDS.len()]) -> Self {
        Self { lines: vec![[String::new()].into_iter().chain(columns.map(str::to_owned)).collect()] }
    }

    pub(crate) fn row(&mut self, name: String, cells: Vec<String>) {
        self.lines.push([name].into_iter().chain(cells).collect());
    }

    /// Compares the table with the golden one, or replaces the latter.
    ///
    /// # Panics
    /// If they differ; says how, and how to accept it.
    pub(crate) fn compare_with_golden(mut self) {
        self.lines[1..].sort();
        let found = self.text();
        if env::var_os(ACCEPT).is_some() {
            fs::write(GOLDEN, &found).expect("the golden table is written");
            return;
        }
        let golden = fs::read_to_string(GOLDEN).unwrap_or_default();
        if golden != found {
            panic!(
                "who may call what is not what tests/invariants/matrix.txt says.\n{}\nThe whole table is now:\n\n{found}\n\
                 If it is what the contract says, accept it: {ACCEPT}=1 cargo test -p mesh --test invariants matrix",
                differences(&golden, &found)
            );
        }
    }

    fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        text.push_str("\nA cell is what the caller gets: `ok`, with how many items where it is a list, or\n\n");
        for (short, code, reason) in SHORT {
            let _ = writeln!(text, "{short:<9} {code:?} {reason}");
        }
        text.push('\n');
        let width =
            |column: usize| self.lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
        let widths: Vec<_> = (0..self.lines[0].len()).map(width).collect();
        for line in &self.lines {
            let cells: Vec<_> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            text.push_str(cells.join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

/// Returns the lines that only one of them has.
fn differences(golden: &str, found: &str) -> String {
    let mut text = String::new();
    for line in golden.lines().filter(|line| !found.lines().any(|other| other == *line)) {
        let _ = writeln!(text, "- {line}");
    }
    for line in found.lines().filter(|line| !golden.lines().any(|other| other == *line)) {
        let _ = writeln!(text, "+ {line}");
    }
    text
}

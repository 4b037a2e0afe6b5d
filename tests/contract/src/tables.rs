//! Tables that have to follow the RPCs: handlers, the authorisation matrix, counted calls, generated files.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use prost_reflect::DescriptorPool;

use crate::{ROOT, Rpc, rpcs};

/// Package whose service each subscriber of events implements.
const EVENTS: &str = "therapy.events.v1";

/// Returns the RPCs that their service doesn't implement. The compiler says the same of the real set.
#[must_use]
pub fn unhandled(pool: &DescriptorPool) -> Vec<String> {
    let is_handled = |rpc: &Rpc| {
        let domain = rpc.method.parent_file().package_name().split('.').nth(1).unwrap().to_owned();
        sources(&format!("services/{domain}/src")).contains(&format!("fn {}(", snake_case(rpc.method.name())))
    };
    let own = rpcs(pool).into_iter().filter(|rpc| rpc.method.parent_file().package_name() != EVENTS);
    own.filter(|rpc| !is_handled(rpc)).map(|rpc| format!("no service implements {}", rpc.path())).collect()
}

/// Returns the RPCs without a row in the authorisation matrix, of which these paths have one.
#[must_use]
pub fn without_matrix_row(pool: &DescriptorPool, rows: &BTreeSet<String>) -> Vec<String> {
    let paths = rpcs(pool).into_iter().map(|rpc| rpc.path()).filter(|path| !rows.contains(path));
    paths.map(|path| format!("say in tests/invariants/matrix/rows.rs who calls {path}, and how")).collect()
}

/// Returns the paths of the RPCs with a row in the golden matrix.
#[must_use]
pub fn matrix_rows() -> BTreeSet<String> {
    let matrix = read("tests/invariants/matrix.txt");
    let names = matrix.lines().filter_map(|line| line.split([',', ' ']).next());
    names.filter(|name| name.contains(".v1.") && name.contains('/')).map(|name| format!("/therapy.{name}")).collect()
}

/// Returns the routable RPCs whose DynamoDB calls no row of the trace tests counts. A row's label begins with its RPC.
#[must_use]
pub fn uncounted(pool: &DescriptorPool) -> Vec<String> {
    let source = read("tests/trace/calls.rs") + &sources("tests/trace/calls");
    let labels: BTreeSet<_> =
        source.split('"').filter_map(|text| text.split(|c: char| !c.is_ascii_alphabetic()).next()).collect();
    let routable = rpcs(pool).into_iter().filter(|rpc| !rpc.access.is_internal());
    let uncounted = routable.filter(|rpc| !labels.contains(rpc.method.name()));
    uncounted.map(|rpc| format!("nobody counts the calls of {}", rpc.path())).collect()
}

/// Returns the generated files whose committed content is another.
#[must_use]
pub fn stale(folder: &str, generated: &[(&str, Vec<u8>)]) -> Vec<String> {
    let is_stale = |(name, content): &&(&str, Vec<u8>)| {
        fs::read(Path::new(ROOT).join(folder).join(name)).unwrap_or_default() != *content
    };
    let stale = generated.iter().filter(is_stale);
    stale.map(|(name, _)| format!("{folder}/{name} is out of date: cargo xtask regenerate")).collect()
}

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(file)).unwrap()
}

/// Returns the Rust files of a folder, joined.
fn sources(folder: &str) -> String {
    let files = fs::read_dir(Path::new(ROOT).join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let sources = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    sources.map(|path| fs::read_to_string(path).unwrap()).collect()
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

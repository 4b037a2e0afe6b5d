//! The modules of a crate import each other in one direction.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

/// The modules at the top of a crate, each with those that it imports.
type Imports = BTreeMap<String, BTreeSet<String>>;

#[test]
fn modules_import_without_circles() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).canonicalize().unwrap();
    let mut read = 0;
    for folder in ["services", "services/shared", "gateway"].into_iter().flat_map(|folder| crates(&root.join(folder))) {
        let name = folder.strip_prefix(&root).unwrap().display().to_string();
        let found = circles(&imports(&folder.join("src")));
        assert!(found.is_empty(), "{name}: {}", found.join("; "));
        read += 1;
    }
    assert!(read > 20, "{read} crates");
}

#[test]
fn circle_is_named_once() {
    let imports = |text: &[(&str, &[&str])]| -> Imports {
        text.iter().map(|(from, to)| ((*from).to_owned(), to.iter().map(|to| (*to).to_owned()).collect())).collect()
    };
    let straight = imports(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])]);
    assert_eq!(circles(&straight), Vec::<String>::new());
    let round = imports(&[("a", &["b"]), ("b", &["c"]), ("c", &["b", "d"]), ("d", &["b"])]);
    assert_eq!(circles(&round), ["b → c → b", "d → b → c → d"]);
}

#[test]
fn imports_of_groups_and_tests_are_told_apart() {
    let source = "use crate::one::{Two, three::Four};\npub(crate) use crate::{five, six::{Seven, eight}};\nuse other::nine;\n\
                  #[cfg(test)]\nmod tests {\n    use crate::ten;\n}\n";
    assert_eq!(imported(source).collect::<Vec<_>>(), ["one", "five", "six"]);
}

/// Returns the folder, if it is a crate's, and those of the crates directly in it.
fn crates(folder: &Path) -> Vec<PathBuf> {
    let inner = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = inner.chain([folder.to_owned()]).filter(|path| path.join("Cargo.toml").exists()).collect();
    all.sort();
    all
}

/// Reads what each module at the top of a crate imports of the others. Tests and fuzzers may import anything.
fn imports(src: &Path) -> Imports {
    let mut files = Vec::new();
    sources(src, &mut files);
    let modules = files.iter().map(|file| {
        let path = file.strip_prefix(src).unwrap().with_extension("");
        let steps: Vec<_> = path.iter().map(|step| step.to_str().unwrap().to_owned()).collect();
        (steps, fs::read_to_string(file).unwrap())
    });
    let is_test = |steps: &[String]| steps.iter().any(|step| step == "tests" || step == "fuzz");
    let modules: Vec<_> =
        modules.filter(|(steps, _)| !is_test(steps) && !["lib", "main"].contains(&&*steps[0])).collect();
    let mut all: Imports = modules.iter().map(|(steps, _)| (steps[0].clone(), BTreeSet::new())).collect();
    for (steps, source) in &modules {
        let others = imported(source).filter(|name| *name != steps[0] && all.contains_key(*name));
        let others: Vec<_> = others.map(str::to_owned).collect();
        all.get_mut(&steps[0]).unwrap().extend(others);
    }
    all
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The first names behind `use crate::` in a source, without its tests.
fn imported(source: &str) -> impl Iterator<Item = &str> {
    let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let uses = code.split("use crate::").skip(1).map(|rest| rest.split(';').next().unwrap());
    uses.flat_map(|tree| match tree.strip_prefix('{') {
        Some(group) => members(group),
        None => vec![first_name(tree)],
    })
}

/// The first names of a group's members.
fn members(group: &str) -> Vec<&str> {
    let mut depth = 0;
    let parts = group.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    parts.map(|part| first_name(part.trim())).filter(|name| !name.is_empty()).collect()
}

fn first_name(path: &str) -> &str {
    path.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap()
}

/// Returns the shortest circle through each module that has one, unless an earlier one has named the module.
fn circles(imports: &Imports) -> Vec<String> {
    let mut named = BTreeSet::new();
    let mut found = Vec::new();
    for module in imports.keys() {
        if !named.contains(module)
            && let Some(circle) = circle(imports, module)
        {
            found.push(circle.join(" → "));
            named.extend(circle);
        }
    }
    found
}

/// Returns the shortest way from a module back to it.
fn circle(imports: &Imports, start: &String) -> Option<Vec<String>> {
    let mut ways = VecDeque::from([vec![start]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for next in imports.get(*way.last()?)? {
            let longer = [&way[..], &[next]].concat();
            if next == start {
                return Some(longer.into_iter().cloned().collect());
            }
            if seen.insert(next) {
                ways.push_back(longer);
            }
        }
    }
    None
}

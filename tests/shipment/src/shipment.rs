//! What is shipped: the image, compose and the manifests, held against the code.
#![cfg(test)]
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod compose;
mod envoy;
mod front;
mod identity;
mod image;
mod kubernetes;
mod manifests;
mod network;
mod programs;
mod restricted;
mod settings;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The port on which every service listens in its container.
const PORT: u16 = 50051;

/// A file or directory of the repository.
fn at(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(path)
}

/// The text of a file of the repository.
fn text(path: &str) -> String {
    std::fs::read_to_string(at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Where `.ci/tools` has a tool, which it fetches first if it must.
fn tool(name: &str) -> PathBuf {
    let found = Command::new(at(".ci/tools")).arg(name).stderr(Stdio::inherit()).output().expect(".ci/tools runs");
    assert!(found.status.success(), ".ci/tools could not fetch {name}");
    PathBuf::from(String::from_utf8(found.stdout).expect("a path in UTF-8").trim_end())
}

/// Runs a command that must succeed.
fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("the command starts");
    let told = String::from_utf8_lossy(&stdout).into_owned();
    assert!(status.success(), "{command:?}: {told}{}", String::from_utf8_lossy(&stderr));
    told
}

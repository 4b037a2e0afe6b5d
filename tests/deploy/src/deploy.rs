//! Tests of the deployment files: the image, compose and the Kubernetes manifests, checked against the code.
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

/// Port on which every service listens in its container.
const PORT: u16 = 50051;

/// Returns the path of a file or directory of the repository.
fn at(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(path)
}

/// Reads a file of the repository.
fn text(path: &str) -> String {
    std::fs::read_to_string(at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the path of a tool of `.ci/tools`, which fetches it on first use.
fn tool(name: &str) -> PathBuf {
    let found = Command::new(at(".ci/tools")).arg(name).stderr(Stdio::inherit()).output().expect(".ci/tools runs");
    assert!(found.status.success(), ".ci/tools could not fetch {name}");
    PathBuf::from(String::from_utf8(found.stdout).expect("a path in UTF-8").trim_end())
}

/// Runs a command that must succeed, and returns its output.
fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("the command starts");
    let told = String::from_utf8_lossy(&stdout).into_owned();
    assert!(status.success(), "{command:?}: {told}{}", String::from_utf8_lossy(&stderr));
    told
}

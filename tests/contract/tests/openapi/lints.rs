//! Third-party linters run on the document.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use contract::ROOT;
use serde_json::Value;

/// Builds a command for a program of tests/tools/package.json, run in the directory of the document.
fn tool(name: &str) -> Command {
    let found = Command::new(format!("{ROOT}/.ci/tools")).arg("npm").stderr(Stdio::inherit()).output().unwrap();
    assert!(found.status.success(), ".ci/tools could not fetch what tests/tools names");
    let programs = PathBuf::from(String::from_utf8(found.stdout).unwrap().trim_end()).join("node_modules/.bin");
    let mut command = Command::new(programs.join(name));
    command.current_dir(format!("{ROOT}/gateway/openapi"));
    command
}

#[test]
fn spectral_finds_nothing() {
    let mut spectral = tool("spectral");
    spectral.args(["lint", "swagger.yaml", "--ruleset", ".spectral.yaml", "--fail-severity", "hint", "--quiet"]);
    let found = spectral.output().unwrap();
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stdout));
}

#[test]
fn redocly_finds_nothing() {
    let mut redocly = tool("redocly");
    // No network access.
    redocly.envs([("REDOCLY_TELEMETRY", "off"), ("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true")]);
    let found = redocly.args(["lint", "swagger.yaml", "--format", "json"]).output().unwrap();
    let said = String::from_utf8_lossy(&found.stdout);
    let report: Value = serde_json::from_str(&said[said.find('{').unwrap()..]).unwrap();
    assert_eq!(report["totals"], serde_json::json!({ "errors": 0, "warnings": 0, "ignored": 0 }), "{said}");
}

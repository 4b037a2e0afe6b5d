//! Runs external programs.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// Root of the repository.
pub(crate) const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The OpenAPI document.
pub(crate) const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../gateway/openapi/swagger.yaml");

/// Timeout of a program, with a large margin for a machine under load.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Returns the path of a tool of `.ci/tools`, which fetches it on first use.
pub(crate) async fn tool(name: &str) -> PathBuf {
    let mut tools = Command::new(format!("{ROOT}/.ci/tools"));
    PathBuf::from(output(tools.arg(name).stderr(Stdio::inherit())).await.trim_end())
}

/// Builds a command for a program of the Python environment.
#[allow(clippy::disallowed_methods, reason = "what is read is no configuration, but where programs are")]
pub(crate) async fn python(program: &str) -> Command {
    let programs = tool("python").await;
    let mut command = Command::new(programs.join(program));
    // Programs that it starts are found in the same environment.
    command.env("PATH", format!("{}:{}", programs.display(), std::env::var("PATH").unwrap()));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Returns the path of a file of this crate.
pub(crate) fn script(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs a program that must succeed, and returns its standard output.
#[track_caller]
pub(crate) fn output(command: &mut Command) -> impl Future<Output = String> {
    let shown = format!("{:?}", command.as_std());
    let output = command.kill_on_drop(true).stdin(Stdio::null()).output();
    async move {
        let output = tokio::time::timeout(TIMEOUT, output).await;
        let output = output.unwrap_or_else(|_| panic!("not done after {TIMEOUT:?}: {shown}")).unwrap();
        let [printed, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        assert!(output.status.success(), "{}: {shown}\n{printed}\n{errors}", output.status);
        printed
    }
}

/// Runs a program that must fail, and returns its standard error.
pub(crate) async fn error_output(command: &mut Command) -> String {
    let output = command.kill_on_drop(true).stdin(Stdio::null()).output().await.unwrap();
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

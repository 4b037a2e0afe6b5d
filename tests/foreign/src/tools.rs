//! Programs that the tests run.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// The root of the repository.
pub(crate) const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The OpenAPI document.
pub(crate) const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../gateway/openapi/swagger.yaml");

/// How long a program may take: many times what any does, on a machine under load.
const LONGEST: Duration = Duration::from_secs(300);

/// Where `.ci/tools` has a tool, which it fetches first if it must.
pub(crate) async fn tool(name: &str) -> PathBuf {
    let mut tools = Command::new(format!("{ROOT}/.ci/tools"));
    PathBuf::from(output(tools.arg(name).stderr(Stdio::inherit())).await.trim_end())
}

/// A program of the Python environment.
#[allow(clippy::disallowed_methods, reason = "what is read is no configuration, but where programs are")]
pub(crate) async fn python(program: &str) -> Command {
    let programs = tool("python").await;
    let mut command = Command::new(programs.join(program));
    // What one program of the environment starts is of the environment too.
    command.env("PATH", format!("{}:{}", programs.display(), std::env::var("PATH").unwrap()));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// A file of this crate.
pub(crate) fn script(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What a program prints. It must succeed.
#[track_caller]
pub(crate) fn output(command: &mut Command) -> impl Future<Output = String> {
    let shown = format!("{:?}", command.as_std());
    let output = command.kill_on_drop(true).stdin(Stdio::null()).output();
    async move {
        let output = tokio::time::timeout(LONGEST, output).await;
        let output = output.unwrap_or_else(|_| panic!("not done after {LONGEST:?}: {shown}")).unwrap();
        let [printed, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        assert!(output.status.success(), "{}: {shown}\n{printed}\n{errors}", output.status);
        printed
    }
}

/// What a program complains of. It must fail.
pub(crate) async fn complaint(command: &mut Command) -> String {
    let output = command.kill_on_drop(true).stdin(Stdio::null()).output().await.unwrap();
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

//! The command that started this process, as people can type it again.

use std::borrow::Cow;
use std::ffi::OsString;

/// Returns the command without arguments, such as `cargo run`, `target/release/mesh` or `mesh`.
#[must_use]
pub fn command() -> String {
    match (is_of_cargo(), cfg!(debug_assertions)) {
        (true, true) => "cargo run".to_owned(),
        (true, false) => "cargo run --release".to_owned(),
        (false, _) => typed(std::env::args_os().next()),
    }
}

/// Returns the command with other arguments.
#[must_use]
pub fn with(arguments: &str) -> String {
    let separator = if is_of_cargo() { " --" } else { "" };
    format!("{}{separator} {arguments}", command())
}

/// Returns whether `cargo run` started the process: it sets the directory of the package that it runs.
#[allow(clippy::disallowed_methods, reason = "no setting: cargo says so")]
fn is_of_cargo() -> bool {
    std::env::var_os("CARGO_MANIFEST_DIR").is_some_and(|directory| directory == env!("CARGO_MANIFEST_DIR"))
}

/// Returns the name of a program as a shell takes it.
///
/// Bytes that are no UTF-8 are shown as replacement characters.
fn typed(program: Option<OsString>) -> String {
    let program = program.filter(|program| !program.is_empty()).unwrap_or_else(|| "mesh".into());
    let program = program.to_string_lossy();
    shlex::try_quote(&program).map_or_else(|_| program.to_string(), Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    #[test]
    fn program_is_quoted_where_a_shell_needs_it() {
        for (program, shown) in [
            ("target/release/mesh", "target/release/mesh"),
            ("mesh", "mesh"),
            ("/my programs/mesh", "'/my programs/mesh'"),
            ("", "mesh"),
        ] {
            assert_eq!(typed(Some(program.into())), shown);
        }
        assert_eq!(typed(None), "mesh");
    }

    #[test]
    fn program_that_is_no_utf_8_is_shown() {
        assert_eq!(typed(Some(OsString::from_vec(b"/m\xffsh".to_vec()))), "'/m\u{fffd}sh'");
    }
}

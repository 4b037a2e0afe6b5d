//! Configuration comes from flags and from the environment, and nothing in the environment is passed over silently.

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command, CommandFactory, Error, FromArgMatches};

/// Prefix of our environment variables.
const PREFIX: &str = "MESH_";

/// Reads the configuration of a process from its flags and its environment. Ends the process, with a sentence that says
/// what to set, where a value is unknown, empty or malformed.
#[must_use]
pub fn read<C: CommandFactory + FromArgMatches>() -> C {
    read_as(C::command())
}

/// Reads the configuration like [`read`], by a command that was changed, such as its name.
#[must_use]
pub fn read_as<C: FromArgMatches>(mut command: Command) -> C {
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())));
    if let Err(sentence) = check(&command, variables) {
        command.error(clap::error::ErrorKind::InvalidValue, sentence).exit();
    }
    let read = command.try_get_matches_from_mut(std::env::args_os()).and_then(|matches| C::from_arg_matches(&matches));
    read.unwrap_or_else(|error| name_variable(error, &mut command).exit())
}

/// Adds the variable's name to an error in which clap names the flag alone.
fn name_variable(mut error: Error, command: &mut Command) -> Error {
    // clap completes a subcommand only when it is asked for, and shows no flags of one that isn't complete.
    command.build();
    if let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg)
        && let Some(variable) = variable(flag, command)
    {
        let both = format!("{flag} ({variable})");
        error.insert(ContextKind::InvalidArg, ContextValue::String(both));
    }
    error
}

/// The variable of a flag, as clap shows flags.
fn variable(flag: &str, command: &Command) -> Option<String> {
    let own = command.get_arguments().find(|arg| arg.to_string() == flag).and_then(Arg::get_env);
    let own = own.map(|variable| variable.to_string_lossy().into_owned());
    own.or_else(|| command.get_subcommands().find_map(|command| variable(flag, command)))
}

/// Refuses variables of ours that are unknown or empty.
fn check(command: &Command, variables: impl IntoIterator<Item = (String, String)>) -> Result<(), String> {
    let known = names(command);
    for (name, value) in variables.into_iter().filter(|(name, _)| name.starts_with(PREFIX)) {
        if !known.contains(&name) {
            return Err(format!("{name} is no setting of this program: unset it, or see --help for those that are"));
        }
        if value.is_empty() {
            return Err(format!("{name} is empty: set it to a value, or unset it to get the default"));
        }
    }
    Ok(())
}

/// The names of all variables that a command and its subcommands know.
#[must_use]
pub fn names(command: &Command) -> Vec<String> {
    let own = command.get_arguments().filter_map(|arg| Some(arg.get_env()?.to_string_lossy().into_owned()));
    own.chain(command.get_subcommands().flat_map(names)).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[arg(long, env = "MESH_COLOUR")]
        _colour: Option<String>,

        #[command(subcommand)]
        _command: Option<Paint>,
    }

    #[derive(clap::Subcommand)]
    enum Paint {
        Scrape {
            #[arg(long)]
            _edge: Option<String>,
        },
        Serve {
            #[arg(long, env = "MESH_COATS")]
            _coats: Option<u8>,
        },
    }

    #[test]
    fn unknown_or_empty_variable_is_refused_by_name() {
        let check = |name: &str, value: &str| check(&Cli::command(), [(name.to_owned(), value.to_owned())]);
        assert_eq!(check("MESH_COLOUR", "red"), Ok(()));
        assert_eq!(check("PATH", ""), Ok(()));
        assert!(check("MESH_COLOUR", "").unwrap_err().contains("MESH_COLOUR is empty"));
        assert!(check("MESH_COLOR", "red").unwrap_err().contains("MESH_COLOR is no setting"));
    }

    #[test]
    fn malformed_value_is_refused_by_flag_and_variable() {
        let mut command = Cli::command();
        let error = command.try_get_matches_from_mut(["test", "serve", "--coats", "many"]).unwrap_err();
        let told = name_variable(error, &mut command).to_string();
        assert!(told.contains("'many' for '--coats <COATS> (MESH_COATS)'"), "{told}");
    }
}

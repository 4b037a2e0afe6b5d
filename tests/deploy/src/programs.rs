//! Command lines of the shipped programs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use clap::Command;
use kernel::BoxError;

/// Includes the `main.rs` of a program with this command line type.
macro_rules! program {
    ($module:ident, $name:literal, $($cli:tt)+) => {
        #[allow(dead_code, reason = "only the command line of a program is of interest here")]
        mod $module {
            include!(concat!(env!("OUT_DIR"), "/", $name, ".rs"));

            pub(super) fn command() -> clap::Command {
                <$($cli)+ as clap::CommandFactory>::command()
            }
        }
    };
}

/// Includes the `main.rs` of a service with this domain.
macro_rules! service {
    ($module:ident, $name:literal, $domain:ident) => {
        program!($module, $name, bootstrap::Cli<<$domain as bootstrap::Domain>::Config>);
    };
}

service!(the_appointments, "appointments", Appointments);
service!(the_audit, "audit", Audit);
service!(the_auth, "auth", Auth);
service!(the_clients, "clients", Clients);
service!(the_journals, "journals", Journals);
service!(the_mapping, "mapping", Mapping);
service!(the_messages, "messages", Messages);
service!(the_search, "search", Searching);
service!(the_sessions, "sessions", Sessions);
service!(the_therapists, "therapists", Therapists);
service!(the_vault, "vault", Vault);
program!(the_gateway, "gateway", Cli);

#[allow(dead_code, reason = "only the command line and what prepares containers is of interest here")]
mod the_mesh {
    include!(concat!(env!("OUT_DIR"), "/mesh.rs"));

    pub(super) fn command() -> clap::Command {
        <Cli as clap::CommandFactory>::command()
    }

    pub(super) fn prepare_in(dir: &Path, renew: bool) -> Result<(), BoxError> {
        prepare(dir, renew, 1)
    }
}

/// Returns the programs and their command lines.
pub(crate) fn all() -> BTreeMap<&'static str, Command> {
    [
        ("appointments", the_appointments::command()),
        ("audit", the_audit::command()),
        ("auth", the_auth::command()),
        ("clients", the_clients::command()),
        ("gateway", the_gateway::command()),
        ("journals", the_journals::command()),
        ("mapping", the_mapping::command()),
        ("mesh", the_mesh::command()),
        ("messages", the_messages::command()),
        ("search", the_search::command()),
        ("sessions", the_sessions::command()),
        ("therapists", the_therapists::command()),
        ("vault", the_vault::command()),
    ]
    .into()
}

/// Runs `mesh prepare`, with `--renew` or without.
pub(crate) fn prepare(dir: &Path, renew: bool) -> Result<(), BoxError> {
    the_mesh::prepare_in(dir, renew)
}

/// Returns the address variables of a program, without its own: auth has one and calls nobody.
pub(crate) fn addresses(program: &str) -> BTreeSet<String> {
    let known = all().get(program).map(chassis::config::names).unwrap_or_default();
    let own = format!("MESH_{}_ADDRESS", program.to_uppercase());
    known.into_iter().filter(|name| name.ends_with("_ADDRESS") && *name != own).collect()
}

/// Returns the program's error for these arguments and variables: an unknown variable, an invalid value, or a missing
/// required setting.
pub(crate) fn config_error(program: &str, words: &[String], variables: &BTreeMap<String, String>) -> Option<String> {
    let mut programs = all();
    let Some(command) = programs.get_mut(program) else { return Some(format!("there is no program {program}")) };
    let known = chassis::config::names(command);
    let ours = |name: &&String| name.starts_with("MESH_") || name.starts_with("OTEL_");
    if let Some(unknown) = variables.keys().filter(ours).find(|name| !known.contains(name)) {
        return Some(format!("{program} knows no {unknown}"));
    }
    // Passed as flags, so that the environment of the test has no influence.
    let chosen = words.first().and_then(|word| command.find_subcommand(word)).unwrap_or(command);
    let flags = chosen.get_arguments().filter_map(|arg| {
        let value = variables.get(arg.get_env()?.to_str()?)?;
        Some(format!("--{}={value}", arg.get_long()?))
    });
    let line: Vec<_> = [program.to_owned()].into_iter().chain(words.iter().cloned()).chain(flags).collect();
    command.try_get_matches_from_mut(line).err().map(|error| format!("{program}: {error}"))
}

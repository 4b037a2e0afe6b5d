//! The process of search.

use std::process::ExitCode;

use bootstrap::{Domain, ServiceContext};
use chassis::Service;
use chassis::identity::Keys;
use dynamo::TableDef;
use kernel::BoxError;

struct Searching;

/// The settings of the process.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Config {
    /// Address of the vault service, for the keys that the index is made with.
    #[arg(long, env = "MESH_VAULT_ADDRESS", default_value = proto::registry::VAULT.address)]
    vault_address: String,

    /// Address of the journals service, for the entries.
    #[arg(long, env = "MESH_JOURNALS_ADDRESS", default_value = proto::registry::JOURNALS.address)]
    journals_address: String,

    /// Address of the sessions service, for the notes.
    #[arg(long, env = "MESH_SESSIONS_ADDRESS", default_value = proto::registry::SESSIONS.address)]
    sessions_address: String,

    /// Address of the mapping service, for relations and consent.
    #[arg(long, env = "MESH_MAPPING_ADDRESS", default_value = proto::registry::MAPPING.address)]
    mapping_address: String,

    /// Address of the clients service, for their names.
    #[arg(long, env = "MESH_CLIENTS_ADDRESS", default_value = proto::registry::CLIENTS.address)]
    clients_address: String,

    /// Address of the audit service, for the access log.
    #[arg(long, env = "MESH_AUDIT_ADDRESS", default_value = proto::registry::AUDIT.address)]
    audit_address: String,

    #[command(flatten)]
    keyring: keyring::Config,
}

impl Domain for Searching {
    const NAME: &'static str = search::NAME;
    const ABOUT: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const TABLES: &'static [&'static TableDef] = &[&search::SEARCH_INDEX];
    type Config = Config;

    async fn build(config: Config, given: ServiceContext) -> Result<(Service, Option<Keys>), BoxError> {
        let Config {
            vault_address,
            journals_address,
            sessions_address,
            mapping_address,
            clients_address,
            audit_address,
            keyring,
        } = config;
        let deps = search::Deps {
            vault: given.upstream(&vault_address)?,
            journals: given.upstream(&journals_address)?,
            sessions: given.upstream(&sessions_address)?,
            mapping: given.upstream(&mapping_address)?,
            clients: given.upstream(&clients_address)?,
            audit: given.upstream(&audit_address)?,
            keyring,
            dynamodb: given.dynamodb,
            secrets: given.secrets,
            platform: given.platform,
        };
        Ok((search::build(deps)?, None))
    }
}

// A request makes hundreds of small allocations: with the C library's allocator, an eighth of a front's work.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    bootstrap::run::<Searching>().await
}

#[cfg(test)]
mod tests {
    #[test]
    fn settings_are_unique() {
        bootstrap::check::<super::Searching>();
    }
}

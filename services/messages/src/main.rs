//! The process of messages.

use std::process::ExitCode;

use bootstrap::{Domain, ServiceContext};
use chassis::Service;
use chassis::identity::Keys;
use dynamo::TableDef;
use kernel::BoxError;

struct Messages;

/// The settings of the process.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Config {
    /// Address of the clients service, for their names.
    #[arg(long, env = "MESH_CLIENTS_ADDRESS", default_value = proto::registry::CLIENTS.address)]
    clients_address: String,

    /// Address of the therapists service, for their names.
    #[arg(long, env = "MESH_THERAPISTS_ADDRESS", default_value = proto::registry::THERAPISTS.address)]
    therapists_address: String,

    /// Address of the vault service, for the keys that messages are sealed with.
    #[arg(long, env = "MESH_VAULT_ADDRESS", default_value = proto::registry::VAULT.address)]
    vault_address: String,

    /// Address of the mapping service, for permission to write to somebody.
    #[arg(long, env = "MESH_MAPPING_ADDRESS", default_value = proto::registry::MAPPING.address)]
    mapping_address: String,

    #[command(flatten)]
    keyring: keyring::Config,

    #[command(flatten)]
    watching: messages::Config,
}

impl Domain for Messages {
    const NAME: &'static str = messages::NAME;
    const ABOUT: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const TABLES: &'static [&'static TableDef] = &[&messages::MESSAGES];
    type Config = Config;

    async fn build(config: Config, given: ServiceContext) -> Result<(Service, Option<Keys>), BoxError> {
        let Config { clients_address, therapists_address, vault_address, mapping_address, keyring, watching } = config;
        let deps = messages::Deps {
            auth: given.auth.clone(),
            clients: given.upstream(&clients_address)?,
            therapists: given.upstream(&therapists_address)?,
            vault: given.upstream(&vault_address)?,
            mapping: given.upstream(&mapping_address)?,
            keyring,
            config: watching,
            dynamodb: given.dynamodb,
            secrets: given.secrets,
            platform: given.platform,
        };
        Ok((messages::build(deps)?, None))
    }
}

// A request makes hundreds of small allocations: with the C library's allocator, an eighth of a front's work.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    bootstrap::run::<Messages>().await
}

#[cfg(test)]
mod tests {
    #[test]
    fn settings_are_unique() {
        bootstrap::check::<super::Messages>();
    }
}

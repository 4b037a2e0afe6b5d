//! The process of messages.

use std::process::ExitCode;

use bootstrap::{Domain, ServiceContext};
use chassis::Service;
use chassis::identity::Keys;
use dynamo::TableDef;
use kernel::BoxError;

struct This;

/// The settings of the process.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Config {
    /// Where clients listens, for their names.
    #[arg(long, env = "MESH_CLIENTS_ADDRESS", default_value = "http://127.0.0.1:50052")]
    clients_address: String,

    /// Where therapists listens, for their names.
    #[arg(long, env = "MESH_THERAPISTS_ADDRESS", default_value = "http://127.0.0.1:50053")]
    therapists_address: String,

    /// Where vault listens, for the keys that messages are sealed with.
    #[arg(long, env = "MESH_VAULT_ADDRESS", default_value = "http://127.0.0.1:50054")]
    vault_address: String,

    /// Where mapping listens, for who may write to whom.
    #[arg(long, env = "MESH_MAPPING_ADDRESS", default_value = "http://127.0.0.1:50055")]
    mapping_address: String,

    #[command(flatten)]
    keyring: keyring::Config,

    #[command(flatten)]
    watching: messages::Config,
}

impl Domain for This {
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
    bootstrap::run::<This>().await
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_setting_is_there_twice() {
        bootstrap::check::<super::This>();
    }
}

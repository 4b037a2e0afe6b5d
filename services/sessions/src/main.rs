//! Entry point of the sessions process.

use std::process::ExitCode;

use bootstrap::{Domain, ServiceContext};
use chassis::Service;
use chassis::identity::Keys;
use dynamo::TableDef;
use kernel::BoxError;

struct Sessions;

/// Settings of the process.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Config {
    /// Address of the vault service, for the keys that notes are sealed with.
    #[arg(long, env = "MESH_VAULT_ADDRESS", default_value = proto::registry::VAULT.address)]
    vault_address: String,

    /// Address of the mapping service, for the relations of clients and therapists.
    #[arg(long, env = "MESH_MAPPING_ADDRESS", default_value = proto::registry::MAPPING.address)]
    mapping_address: String,

    /// Address of the appointments service, which receives the events of slots.
    #[arg(long, env = "MESH_APPOINTMENTS_ADDRESS", default_value = proto::registry::APPOINTMENTS.address)]
    appointments_address: String,

    /// Address of the search service, which receives the events of notes.
    #[arg(long, env = "MESH_SEARCH_ADDRESS", default_value = proto::registry::SEARCH.address)]
    search_address: String,

    #[command(flatten)]
    keyring: keyring::Config,

    #[command(flatten)]
    events: outbox::Config,
}

impl Domain for Sessions {
    const NAME: &'static str = sessions::NAME;
    const ABOUT: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const TABLES: &'static [&'static TableDef] = &[&sessions::SESSIONS];
    type Config = Config;

    async fn build(config: Config, context: ServiceContext) -> Result<(Service, Option<Keys>), BoxError> {
        let Config { vault_address, mapping_address, appointments_address, search_address, keyring, events } = config;
        let deps = sessions::Deps {
            vault: context.upstream(&vault_address)?,
            mapping: context.upstream(&mapping_address)?,
            appointments: context.upstream(&appointments_address)?,
            search: context.upstream(&search_address)?,
            keyring,
            events,
            dynamodb: context.dynamodb,
            secrets: context.secrets,
            platform: context.platform,
        };
        Ok((sessions::build(deps)?, None))
    }
}

// A request makes hundreds of small allocations: with the C library's allocator, an eighth of a front's work.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    bootstrap::run::<Sessions>().await
}

#[cfg(test)]
mod tests {
    #[test]
    fn settings_are_unique() {
        bootstrap::check::<super::Sessions>();
    }
}

//! The process of sessions.

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
    /// Where vault listens, for the keys that notes are sealed with.
    #[arg(long, env = "MESH_VAULT_ADDRESS", default_value = "http://127.0.0.1:50054")]
    vault_address: String,

    /// Where mapping listens, for who is related.
    #[arg(long, env = "MESH_MAPPING_ADDRESS", default_value = "http://127.0.0.1:50055")]
    mapping_address: String,

    /// Where appointments listens, which is told what becomes of slots.
    #[arg(long, env = "MESH_APPOINTMENTS_ADDRESS", default_value = "http://127.0.0.1:50059")]
    appointments_address: String,

    #[command(flatten)]
    keyring: keyring::Config,

    #[command(flatten)]
    events: outbox::Config,
}

impl Domain for This {
    const NAME: &'static str = sessions::NAME;
    const ABOUT: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const TABLES: &'static [&'static TableDef] = &[&sessions::SESSIONS];
    type Config = Config;

    async fn build(config: Config, given: ServiceContext) -> Result<(Service, Option<Keys>), BoxError> {
        let Config { vault_address, mapping_address, appointments_address, keyring, events } = config;
        let deps = sessions::Deps {
            vault: given.upstream(&vault_address)?,
            mapping: given.upstream(&mapping_address)?,
            appointments: given.upstream(&appointments_address)?,
            keyring,
            events,
            dynamodb: given.dynamodb,
            secrets: given.secrets,
            platform: given.platform,
        };
        Ok((sessions::build(deps)?, None))
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

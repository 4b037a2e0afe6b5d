//! The process of journals.

use std::process::ExitCode;

use bootstrap::{Domain, ServiceContext};
use chassis::Service;
use chassis::identity::Keys;
use dynamo::TableDef;
use kernel::BoxError;

struct Journals;

/// The settings of the process.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Config {
    /// Address of the vault service, for the keys that entries are sealed with.
    #[arg(long, env = "MESH_VAULT_ADDRESS", default_value = proto::registry::VAULT.address)]
    vault_address: String,

    /// Address of the mapping service, for the clients' consent.
    #[arg(long, env = "MESH_MAPPING_ADDRESS", default_value = proto::registry::MAPPING.address)]
    mapping_address: String,

    /// Address of the audit service, for the access log.
    #[arg(long, env = "MESH_AUDIT_ADDRESS", default_value = proto::registry::AUDIT.address)]
    audit_address: String,

    /// Address of the search service, which is told of changed entries.
    #[arg(long, env = "MESH_SEARCH_ADDRESS", default_value = proto::registry::SEARCH.address)]
    search_address: String,

    #[command(flatten)]
    keyring: keyring::Config,

    #[command(flatten)]
    events: outbox::Config,
}

impl Domain for Journals {
    const NAME: &'static str = journals::NAME;
    const ABOUT: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const TABLES: &'static [&'static TableDef] = &[&journals::JOURNALS];
    type Config = Config;

    async fn build(config: Config, given: ServiceContext) -> Result<(Service, Option<Keys>), BoxError> {
        let Config { vault_address, mapping_address, audit_address, search_address, keyring, events } = config;
        let deps = journals::Deps {
            vault: given.upstream(&vault_address)?,
            mapping: given.upstream(&mapping_address)?,
            audit: given.upstream(&audit_address)?,
            search: given.upstream(&search_address)?,
            keyring,
            events,
            dynamodb: given.dynamodb,
            secrets: given.secrets,
            platform: given.platform,
        };
        Ok((journals::build(deps)?, None))
    }
}

// A request makes hundreds of small allocations: with the C library's allocator, an eighth of a front's work.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    bootstrap::run::<Journals>().await
}

#[cfg(test)]
mod tests {
    #[test]
    fn settings_are_unique() {
        bootstrap::check::<super::Journals>();
    }
}

//! Process of the vault service.

use std::process::ExitCode;

use bootstrap::{Domain, ServiceContext};
use chassis::Service;
use chassis::identity::Keys;
use dynamo::TableDef;
use kernel::BoxError;
use vault::Config;

struct Vault;

impl Domain for Vault {
    const NAME: &'static str = vault::NAME;
    const ABOUT: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const TABLES: &'static [&'static TableDef] = &[&vault::DATA_KEYS];
    type Config = Config;

    async fn build(config: Config, context: ServiceContext) -> Result<(Service, Option<Keys>), BoxError> {
        let ServiceContext { dynamodb, platform, .. } = context;
        let key_encryption_keys = bootstrap::read_secrets(&config.key_encryption_keys_file)
            .map_err(|error| format!("MESH_KEY_ENCRYPTION_KEYS_FILE: {error}"))?;
        Ok((vault::build(vault::Deps { dynamodb, key_encryption_keys, platform }).await?, None))
    }
}

// A request makes hundreds of small allocations: with the C library's allocator, an eighth of a front's work.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    bootstrap::run::<Vault>().await
}

#[cfg(test)]
mod tests {
    #[test]
    fn settings_are_unique() {
        bootstrap::check::<super::Vault>();
    }
}

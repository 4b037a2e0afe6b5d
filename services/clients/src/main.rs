//! The process of clients.

use std::process::ExitCode;

use bootstrap::{Domain, ServiceContext};
use chassis::Service;
use chassis::identity::Keys;
use dynamo::TableDef;
use kernel::BoxError;

/// The settings of the process.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Settings {
    #[command(flatten)]
    subscribers: account_deletion::Addresses,

    #[command(flatten)]
    account_deletion: account_deletion::Config,
}

struct Clients;

impl Domain for Clients {
    const NAME: &'static str = clients::NAME;
    const ABOUT: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const TABLES: &'static [&'static TableDef] = &[&clients::CLIENTS];
    type Config = Settings;

    async fn build(settings: Settings, context: ServiceContext) -> Result<(Service, Option<Keys>), BoxError> {
        let mapping = context.upstream(&settings.subscribers.mapping_address)?;
        let appointments = context.upstream(&settings.subscribers.appointments_address)?;
        let subscribers =
            settings.subscribers.subscribers(context.auth.clone(), |address| context.upstream(address))?;
        let deps = clients::Deps {
            dynamodb: context.dynamodb,
            secrets: context.secrets,
            auth: context.auth,
            mapping,
            appointments,
            subscribers,
            account_deletion: settings.account_deletion,
            platform: context.platform,
        };
        Ok((clients::build(deps)?, None))
    }
}

// A request makes hundreds of small allocations: with the C library's allocator, an eighth of a front's work.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    bootstrap::run::<Clients>().await
}

#[cfg(test)]
mod tests {
    #[test]
    fn settings_are_unique() {
        bootstrap::check::<super::Clients>();
    }
}

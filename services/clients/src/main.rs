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
    endings: account_deletion::Config,
}

struct This;

impl Domain for This {
    const NAME: &'static str = clients::NAME;
    const ABOUT: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const TABLES: &'static [&'static TableDef] = &[&clients::CLIENTS];
    type Config = Settings;

    async fn build(settings: Settings, given: ServiceContext) -> Result<(Service, Option<Keys>), BoxError> {
        let mapping = given.upstream(&settings.subscribers.mapping_address)?;
        let appointments = given.upstream(&settings.subscribers.appointments_address)?;
        let subscribers = settings.subscribers.subscribers(given.auth.clone(), |address| given.upstream(address))?;
        let deps = clients::Deps {
            dynamodb: given.dynamodb,
            secrets: given.secrets,
            auth: given.auth,
            mapping,
            appointments,
            subscribers,
            endings: settings.endings,
            platform: given.platform,
        };
        Ok((clients::build(deps)?, None))
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

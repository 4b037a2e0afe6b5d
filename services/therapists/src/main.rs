//! The process of therapists.

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
    const NAME: &'static str = therapists::NAME;
    const ABOUT: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const TABLES: &'static [&'static TableDef] = &[&therapists::THERAPISTS];
    type Config = Settings;

    async fn build(settings: Settings, given: ServiceContext) -> Result<(Service, Option<Keys>), BoxError> {
        let subscribers = settings.subscribers.subscribers(given.auth.clone(), |address| given.upstream(address))?;
        let deps = therapists::Deps {
            dynamodb: given.dynamodb,
            secrets: given.secrets,
            auth: given.auth,
            subscribers,
            endings: settings.endings,
            platform: given.platform,
        };
        Ok((therapists::build(deps)?, None))
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

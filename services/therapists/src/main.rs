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
    account_deletion: account_deletion::Config,
}

struct Therapists;

impl Domain for Therapists {
    const NAME: &'static str = therapists::NAME;
    const ABOUT: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const TABLES: &'static [&'static TableDef] = &[&therapists::THERAPISTS];
    type Config = Settings;

    async fn build(settings: Settings, context: ServiceContext) -> Result<(Service, Option<Keys>), BoxError> {
        let subscribers =
            settings.subscribers.subscribers(context.auth.clone(), |address| context.upstream(address))?;
        let deps = therapists::Deps {
            dynamodb: context.dynamodb,
            secrets: context.secrets,
            auth: context.auth,
            subscribers,
            account_deletion: settings.account_deletion,
            platform: context.platform,
        };
        Ok((therapists::build(deps)?, None))
    }
}

// A request makes hundreds of small allocations: with the C library's allocator, an eighth of a front's work.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    bootstrap::run::<Therapists>().await
}

#[cfg(test)]
mod tests {
    #[test]
    fn settings_are_unique() {
        bootstrap::check::<super::Therapists>();
    }
}

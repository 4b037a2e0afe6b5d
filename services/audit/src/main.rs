//! The process of audit.

use std::process::ExitCode;

use bootstrap::{Domain, ServiceContext};
use chassis::Service;
use chassis::identity::Keys;
use dynamo::TableDef;
use kernel::BoxError;

struct This;

/// The settings of the process.
#[derive(Debug, clap::Args)]
struct Settings {
    /// Where therapists listens.
    #[arg(
        long,
        env = "MESH_THERAPISTS_ADDRESS",
        default_value = "http://127.0.0.1:50053",
        help_heading = "Other services"
    )]
    therapists_address: String,

    #[command(flatten)]
    audit: audit::Config,
}

impl Domain for This {
    const NAME: &'static str = audit::NAME;
    const ABOUT: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const TABLES: &'static [&'static TableDef] = &[&audit::AUDIT];
    type Config = Settings;

    async fn build(settings: Settings, given: ServiceContext) -> Result<(Service, Option<Keys>), BoxError> {
        let therapists = given.upstream(&settings.therapists_address)?;
        let ServiceContext { dynamodb, secrets, platform, .. } = given;
        let deps = audit::Deps { dynamodb, secrets, therapists, config: settings.audit, platform };
        Ok((audit::build(deps)?, None))
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

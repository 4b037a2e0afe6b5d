//! The process of audit.

use std::process::ExitCode;

use bootstrap::{Domain, ServiceContext};
use chassis::Service;
use chassis::identity::Keys;
use dynamo::TableDef;
use kernel::BoxError;

struct Audit;

/// The settings of the process.
#[derive(Debug, clap::Args)]
struct Settings {
    /// Address of the therapists service.
    #[arg(
        long,
        env = "MESH_THERAPISTS_ADDRESS",
        default_value = proto::registry::THERAPISTS.address,
        help_heading = "Other services"
    )]
    therapists_address: String,

    #[command(flatten)]
    audit: audit::Config,
}

impl Domain for Audit {
    const NAME: &'static str = audit::NAME;
    const ABOUT: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const TABLES: &'static [&'static TableDef] = &[&audit::AUDIT];
    type Config = Settings;

    async fn build(settings: Settings, context: ServiceContext) -> Result<(Service, Option<Keys>), BoxError> {
        let therapists = context.upstream(&settings.therapists_address)?;
        let ServiceContext { dynamodb, secrets, platform, .. } = context;
        let deps = audit::Deps { dynamodb, secrets, therapists, config: settings.audit, platform };
        Ok((audit::build(deps)?, None))
    }
}

// A request makes hundreds of small allocations: with the C library's allocator, an eighth of a front's work.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    bootstrap::run::<Audit>().await
}

#[cfg(test)]
mod tests {
    #[test]
    fn settings_are_unique() {
        bootstrap::check::<super::Audit>();
    }
}

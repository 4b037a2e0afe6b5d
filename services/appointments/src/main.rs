//! Runs the service appointments as a process.

use std::process::ExitCode;

use bootstrap::{Domain, ServiceContext};
use chassis::Service;
use chassis::identity::Keys;
use dynamo::TableDef;
use kernel::BoxError;

struct Appointments;

/// The settings of the process.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Other services")]
struct Settings {
    /// Address of the mapping service.
    #[arg(long, env = "MESH_MAPPING_ADDRESS", default_value = proto::registry::MAPPING.address)]
    mapping_address: String,

    /// Address of the sessions service.
    #[arg(long, env = "MESH_SESSIONS_ADDRESS", default_value = proto::registry::SESSIONS.address)]
    sessions_address: String,

    #[command(flatten)]
    events: outbox::Config,
}

impl Domain for Appointments {
    const NAME: &'static str = appointments::NAME;
    const ABOUT: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const TABLES: &'static [&'static TableDef] = &[&appointments::APPOINTMENTS];
    type Config = Settings;

    async fn build(settings: Settings, context: ServiceContext) -> Result<(Service, Option<Keys>), BoxError> {
        let mapping = context.upstream(&settings.mapping_address)?;
        let sessions = context.upstream(&settings.sessions_address)?;
        let ServiceContext { dynamodb, secrets, platform, .. } = context;
        let deps = appointments::Deps { dynamodb, secrets, mapping, sessions, events: settings.events, platform };
        Ok((appointments::build(deps)?, None))
    }
}

// A request makes hundreds of small allocations: with the C library's allocator, an eighth of a front's work.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    bootstrap::run::<Appointments>().await
}

#[cfg(test)]
mod tests {
    #[test]
    fn settings_are_unique() {
        bootstrap::check::<super::Appointments>();
    }
}

//! The process of appointments.

use std::process::ExitCode;

use bootstrap::{Domain, ServiceContext};
use chassis::Service;
use chassis::identity::Keys;
use dynamo::TableDef;
use kernel::BoxError;

struct This;

/// The settings of the process.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Other services")]
struct Settings {
    /// Where mapping listens.
    #[arg(long, env = "MESH_MAPPING_ADDRESS", default_value = "http://127.0.0.1:50055")]
    mapping_address: String,

    /// Where sessions listens.
    #[arg(long, env = "MESH_SESSIONS_ADDRESS", default_value = "http://127.0.0.1:50058")]
    sessions_address: String,

    #[command(flatten)]
    events: outbox::Config,
}

impl Domain for This {
    const NAME: &'static str = appointments::NAME;
    const ABOUT: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const TABLES: &'static [&'static TableDef] = &[&appointments::APPOINTMENTS];
    type Config = Settings;

    async fn build(settings: Settings, given: ServiceContext) -> Result<(Service, Option<Keys>), BoxError> {
        let mapping = given.upstream(&settings.mapping_address)?;
        let sessions = given.upstream(&settings.sessions_address)?;
        let ServiceContext { dynamodb, secrets, platform, .. } = given;
        let deps = appointments::Deps { dynamodb, secrets, mapping, sessions, events: settings.events, platform };
        Ok((appointments::build(deps)?, None))
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

//! The process of mapping.

use std::process::ExitCode;

use bootstrap::{Domain, ServiceContext};
use chassis::Service;
use chassis::identity::Keys;
use dynamo::TableDef;
use kernel::BoxError;

struct Mapping;

/// The settings of the process.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Other services")]
struct Settings {
    /// Address of the clients service.
    #[arg(long, env = "MESH_CLIENTS_ADDRESS", default_value = proto::registry::CLIENTS.address)]
    clients_address: String,

    /// Address of the therapists service.
    #[arg(long, env = "MESH_THERAPISTS_ADDRESS", default_value = proto::registry::THERAPISTS.address)]
    therapists_address: String,

    /// Address of the appointments service.
    #[arg(long, env = "MESH_APPOINTMENTS_ADDRESS", default_value = proto::registry::APPOINTMENTS.address)]
    appointments_address: String,

    #[command(flatten)]
    events: outbox::Config,
}

impl Domain for Mapping {
    const NAME: &'static str = mapping::NAME;
    const ABOUT: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const TABLES: &'static [&'static TableDef] = &[&mapping::MAPPINGS];
    type Config = Settings;

    async fn build(settings: Settings, given: ServiceContext) -> Result<(Service, Option<Keys>), BoxError> {
        let clients = given.upstream(&settings.clients_address)?;
        let therapists = given.upstream(&settings.therapists_address)?;
        let appointments = given.upstream(&settings.appointments_address)?;
        let ServiceContext { dynamodb, secrets, auth, platform, .. } = given;
        let events = settings.events;
        let deps = mapping::Deps { dynamodb, secrets, auth, clients, therapists, appointments, events, platform };
        Ok((mapping::build(deps)?, None))
    }
}

// A request makes hundreds of small allocations: with the C library's allocator, an eighth of a front's work.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    bootstrap::run::<Mapping>().await
}

#[cfg(test)]
mod tests {
    #[test]
    fn settings_are_unique() {
        bootstrap::check::<super::Mapping>();
    }
}

//! The process of mapping.

use std::process::ExitCode;

use chassis::Service;
use chassis::identity::Keys;
use dynamo::TableDef;
use kernel::BoxError;
use launch::{Domain, Given};

struct This;

/// The settings of the process.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Other services")]
struct Settings {
    /// Where clients listens.
    #[arg(long, env = "MESH_CLIENTS_ADDRESS", default_value = "http://127.0.0.1:50052")]
    clients_address: String,

    /// Where therapists listens.
    #[arg(long, env = "MESH_THERAPISTS_ADDRESS", default_value = "http://127.0.0.1:50053")]
    therapists_address: String,
}

impl Domain for This {
    const NAME: &'static str = mapping::NAME;
    const ABOUT: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const TABLES: &'static [&'static TableDef] = &[&mapping::MAPPINGS];
    type Config = Settings;

    async fn build(settings: Settings, given: Given) -> Result<(Service, Option<Keys>), BoxError> {
        let clients = given.upstream(&settings.clients_address)?;
        let therapists = given.upstream(&settings.therapists_address)?;
        let Given { dynamodb, secrets, auth, platform, .. } = given;
        Ok((mapping::build(mapping::Deps { dynamodb, secrets, auth, clients, therapists, platform })?, None))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    launch::run::<This>().await
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_setting_is_there_twice() {
        launch::check::<super::This>();
    }
}

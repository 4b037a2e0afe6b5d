//! The process of clients.

use std::process::ExitCode;

use chassis::Service;
use chassis::identity::Keys;
use dynamo::TableDef;
use kernel::BoxError;
use launch::{Domain, Given};
use relay::Subscriber;

/// The settings of the process.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Settings {
    /// Where mapping listens.
    #[arg(long, env = "MESH_MAPPING_ADDRESS", default_value = "http://127.0.0.1:50055")]
    mapping_address: String,

    /// Where vault listens.
    #[arg(long, env = "MESH_VAULT_ADDRESS", default_value = "http://127.0.0.1:50054")]
    vault_address: String,

    /// Where journals listens.
    #[arg(long, env = "MESH_JOURNALS_ADDRESS", default_value = "http://127.0.0.1:50056")]
    journals_address: String,

    #[command(flatten)]
    endings: endings::Config,
}

struct This;

impl Domain for This {
    const NAME: &'static str = clients::NAME;
    const TABLES: &'static [&'static TableDef] = &[&clients::CLIENTS];
    type Config = Settings;

    async fn build(settings: Settings, given: Given) -> Result<(Service, Option<Keys>), BoxError> {
        let mapping = given.upstream(&settings.mapping_address)?;
        let subscribers = vec![
            Subscriber { name: "auth", upstream: given.auth.clone() },
            Subscriber { name: "mapping", upstream: mapping.clone() },
            Subscriber { name: "vault", upstream: given.upstream(&settings.vault_address)? },
            Subscriber { name: "journals", upstream: given.upstream(&settings.journals_address)? },
        ];
        let deps = clients::Deps {
            dynamodb: given.dynamodb,
            secrets: given.secrets,
            mapping,
            subscribers,
            endings: settings.endings,
            platform: given.platform,
        };
        Ok((clients::build(deps)?, None))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    launch::run::<This>().await
}

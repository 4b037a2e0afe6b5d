//! The process of clients.

use std::process::ExitCode;

use chassis::Service;
use chassis::identity::Keys;
use dynamo::TableDef;
use kernel::BoxError;
use launch::{Domain, Given};

struct This;

impl Domain for This {
    const NAME: &'static str = clients::NAME;
    const TABLES: &'static [&'static TableDef] = &[&clients::CLIENTS];
    type Config = endings::Config;

    async fn build(endings: endings::Config, given: Given) -> Result<(Service, Option<Keys>), BoxError> {
        let Given { dynamodb, secrets, identity: _, auth, platform } = given;
        Ok((clients::build(clients::Deps { dynamodb, secrets, auth, endings, platform })?, None))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    launch::run::<This>().await
}

//! Process of the auth service.

use std::process::ExitCode;

use bootstrap::{Domain, ServiceContext};
use chassis::Service;
use chassis::identity::Keys;
use dynamo::TableDef;
use kernel::BoxError;

struct Auth;

impl Domain for Auth {
    const NAME: &'static str = auth::NAME;
    const ABOUT: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const TABLES: &'static [&'static TableDef] = &[&auth::USERS];
    type Config = auth::Config;

    async fn build(config: auth::Config, context: ServiceContext) -> Result<(Service, Option<Keys>), BoxError> {
        let ServiceContext { dynamodb, secrets, identity, platform, .. } = context;
        let deps = auth::Deps { dynamodb, secrets, identity, platform };
        let (service, keys) = auth::build(config, deps).await?;
        Ok((service, Some(keys)))
    }
}

// A request makes hundreds of small allocations: with the C library's allocator, an eighth of a front's work.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    bootstrap::run::<Auth>().await
}

#[cfg(test)]
mod tests {
    #[test]
    fn settings_are_unique() {
        bootstrap::check::<super::Auth>();
    }
}

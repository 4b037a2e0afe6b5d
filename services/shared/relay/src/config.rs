use std::time::Duration;

use chassis::config;

/// How events that a crash or an outage left are found.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Config {
    /// How often it is looked whether others are still to be told of an event, such as the end of an account.
    #[arg(long, env = "MESH_RECOVERY_INTERVAL", default_value = "10s", value_parser = config::duration, help_heading = "Events")]
    pub recovery_interval: Duration,
}

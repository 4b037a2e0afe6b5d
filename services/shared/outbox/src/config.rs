use std::time::Duration;

use kernel::setting;

/// Settings of the recovery of pending events.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Interval between redeliveries of pending events, such as the end of an account.
    #[arg(long, env = "MESH_RECOVERY_INTERVAL", default_value = "10s", value_parser = setting::duration, help_heading = "Events")]
    pub recovery_interval: Duration,
}

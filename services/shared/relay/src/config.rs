use std::time::Duration;

/// How events that a crash or an outage left are found.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Config {
    /// How often it is looked whether others are still to be told of an event, such as the end of an account.
    #[arg(long, env = "MESH_RECOVERY_INTERVAL", default_value = "10s", value_parser = parse_interval, help_heading = "Events")]
    pub recovery_interval: Duration,
}

fn parse_interval(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("must be longer than nothing, such as 10s".to_owned()),
        parsed => parsed.map_err(|error| error.to_string()),
    }
}

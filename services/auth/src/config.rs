use std::time::Duration;

use humantime::parse_duration;

/// The settings of auth.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Lifetime of an access token: 1m to 1h.
    #[arg(long, env = "MESH_ACCESS_TOKEN_LIFE", default_value = "15m", value_parser = parse_access_token_life, help_heading = "Tokens")]
    pub access_token_life: Duration,

    /// Lifetime of a refresh token: a login that is not used for so long is over.
    #[arg(long, env = "MESH_REFRESH_TOKEN_LIFE", default_value = "30d", value_parser = parse_seconds, help_heading = "Tokens")]
    pub refresh_token_life: Duration,

    /// Signing period of a key, until the next one takes over.
    #[arg(long, env = "MESH_SIGNING_KEY_PERIOD", default_value = "30d", value_parser = parse_period, help_heading = "Tokens")]
    pub signing_key_period: Duration,

    /// Memory of a password hash (Argon2id), in KiB: at least 19456.
    #[arg(long, env = "MESH_ARGON2_MEMORY", default_value_t = 19_456, value_parser = clap::value_parser!(u32).range(19_456..=1_048_576), help_heading = "Passwords")]
    pub argon2_memory: u32,

    /// Passes of a password hash (Argon2id): at least 2.
    #[arg(long, env = "MESH_ARGON2_ITERATIONS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(2..=100), help_heading = "Passwords")]
    pub argon2_iterations: u32,

    /// Threads that hash passwords; half the cores by default.
    #[arg(long, env = "MESH_HASH_THREADS", value_parser = clap::value_parser!(u16).range(1..=256), help_heading = "Passwords")]
    pub hash_threads: Option<u16>,

    /// Maximum logins and registrations waiting for a thread, and half as many of one source. Sources take turns; more
    /// are refused with RESOURCE_EXHAUSTED.
    #[arg(long, env = "MESH_HASH_QUEUE", default_value_t = 128, help_heading = "Passwords")]
    pub hash_queue: u16,

    /// Failures after which an address is throttled.
    #[arg(long, env = "MESH_ACCOUNT_FAILURES", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Throttling")]
    pub account_failures: u32,

    /// First throttling time of an address; each further failure doubles it, up to an hour.
    #[arg(long, env = "MESH_ACCOUNT_THROTTLE", default_value = "30s", value_parser = parse_seconds, help_heading = "Throttling")]
    pub account_throttle: Duration,

    /// Failures within the window after which a source is throttled.
    #[arg(long, env = "MESH_SOURCE_FAILURES", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Throttling")]
    pub source_failures: u32,

    /// The window in which the failures of a source are counted.
    #[arg(long, env = "MESH_SOURCE_WINDOW", default_value = "10m", value_parser = parse_seconds, help_heading = "Throttling")]
    pub source_window: Duration,

    /// Maximum accounts that a source may register in an hour. Larger IPv6 networks have more: a /56 twice, a /48 four
    /// times as many.
    #[arg(long, env = "MESH_SOURCE_REGISTRATIONS", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Throttling")]
    pub source_registrations: u32,
}

/// Parses a period of at least an hour: a key must be known to every verifier before it signs, and verifiers look for
/// new keys every five minutes.
fn parse_period(text: &str) -> Result<Duration, String> {
    let period = parse_duration(text).map_err(|error| error.to_string())?;
    if period < Duration::from_secs(3600) { Err("must be at least 1h".to_owned()) } else { Ok(period) }
}

/// Parses a lifetime of 1m to 1h: access tokens can't be revoked, and the remains of an ended account are kept for a
/// day.
fn parse_access_token_life(text: &str) -> Result<Duration, String> {
    let life = parse_duration(text).map_err(|error| error.to_string())?;
    let sensible = Duration::from_secs(60)..=Duration::from_secs(3600);
    if sensible.contains(&life) { Ok(life) } else { Err("must be 1m to 1h".to_owned()) }
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text).map_err(|error| error.to_string())?;
    if duration < Duration::from_secs(1) { Err("must be at least 1s".to_owned()) } else { Ok(duration) }
}

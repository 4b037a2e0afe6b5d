use std::time::Duration;

use kernel::setting;

/// Limits and intervals of watching conversations.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Watching conversations")]
pub struct Config {
    /// Interval at which watched conversations are polled for messages that other replicas have stored. Messages of
    /// this replica are published at once.
    #[arg(long, env = "MESH_WATCH_POLL_INTERVAL", default_value = "500ms", value_parser = setting::duration)]
    pub watch_poll_interval: Duration,

    /// Interval at which auth is asked whether the logins of watchers have ended. All watchers are ended when auth
    /// hasn't answered for six times as long.
    #[arg(long, env = "MESH_LOGIN_CHECK_INTERVAL", default_value = "5s", value_parser = setting::duration)]
    pub login_check_interval: Duration,

    /// Maximum concurrent watchers of this replica.
    #[arg(long, env = "MESH_MAX_WATCHERS", default_value_t = 10_000, value_parser = setting::count)]
    pub max_watchers: usize,
}

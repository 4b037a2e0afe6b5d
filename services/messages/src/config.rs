use std::time::Duration;

use kernel::setting;

/// How those who watch conversations are served.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Watching conversations")]
pub struct Config {
    /// How often the conversations that are watched are looked at for messages that another replica has stored. Those that
    /// this one stores are told at once.
    #[arg(long, env = "MESH_WATCH_POLL_INTERVAL", default_value = "500ms", value_parser = setting::duration)]
    pub watch_poll_interval: Duration,

    /// How often auth is asked whether the logins of those who watch have ended. When it hasn't answered for six times as
    /// long, nobody watches any more.
    #[arg(long, env = "MESH_LOGIN_CHECK_INTERVAL", default_value = "5s", value_parser = setting::duration)]
    pub login_check_interval: Duration,

    /// How many may watch at once.
    #[arg(long, env = "MESH_MAX_WATCHERS", default_value_t = 10_000, value_parser = setting::count)]
    pub max_watchers: usize,
}

use std::time::Duration;

use kernel::setting;

/// Minimum life of a cached key: a slower answer of vault is dropped.
const SHORTEST: Duration = Duration::from_secs(1);
/// Maximum life of a cached key.
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// Settings of the key cache.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Data keys")]
pub struct Config {
    /// Life of a person's data key in memory, from 1s to 5m. It bounds the time that the person's text can still be
    /// read after the key is destroyed, and while vault is down.
    #[arg(long, env = "MESH_DATA_KEY_LIFE", default_value = "30s", value_parser = life)]
    pub data_key_life: Duration,
}

fn life(text: &str) -> Result<Duration, String> {
    let life = setting::duration(text)?;
    if (SHORTEST..=LONGEST).contains(&life) { Ok(life) } else { Err("must be from 1s to 5m".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_key_life_is_bounded() {
        assert_eq!(life("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(life("1s"), Ok(SHORTEST));
        assert_eq!(life("5m"), Ok(LONGEST));
        for refused in ["0s", "999ms", "301s", "1h", "soon"] {
            assert!(life(refused).is_err(), "{refused}");
        }
    }
}

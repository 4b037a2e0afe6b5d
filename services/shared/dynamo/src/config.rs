use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::config::Credentials;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use kernel::Entropy;

use crate::Table;
use crate::def::TableDef;
use crate::erasure::Erasure;

/// Address, names and timeouts of DynamoDB. Every setting is a flag and a variable.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "DynamoDB")]
pub struct Config {
    /// The address of DynamoDB, such as `http://127.0.0.1:8000`; AWS' own, by region, unless set
    #[arg(long = "dynamodb-endpoint", env = "MESH_DYNAMODB_ENDPOINT", value_name = "URL", value_parser = parse_endpoint)]
    pub endpoint: Option<String>,

    /// The AWS region
    #[arg(long = "dynamodb-region", env = "MESH_DYNAMODB_REGION", value_name = "REGION",
        default_value = DEFAULT_REGION, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub region: String,

    /// Prefix of the name of every table
    #[arg(long, env = "MESH_TABLE_PREFIX", value_name = "PREFIX",
        default_value = DEFAULT_PREFIX, value_parser = parse_prefix)]
    pub table_prefix: String,

    /// Timeout of one attempt of a call
    #[arg(long = "dynamodb-attempt-timeout", env = "MESH_DYNAMODB_ATTEMPT_TIMEOUT", value_name = "DURATION",
        default_value = "1s", value_parser = parse_duration)]
    pub attempt_timeout: Duration,

    /// Timeout of a call with all its attempts
    #[arg(long = "dynamodb-operation-timeout", env = "MESH_DYNAMODB_OPERATION_TIMEOUT", value_name = "DURATION",
        default_value = "3s", value_parser = parse_duration)]
    pub operation_timeout: Duration,

    /// Timeout for a connection
    #[arg(long = "dynamodb-connect-timeout", env = "MESH_DYNAMODB_CONNECT_TIMEOUT", value_name = "DURATION",
        default_value = "500ms", value_parser = parse_duration)]
    pub connect_timeout: Duration,

    /// Maximum attempts of a call when DynamoDB throttles, fails or doesn't answer
    #[arg(long = "dynamodb-max-attempts", env = "MESH_DYNAMODB_MAX_ATTEMPTS", value_name = "COUNT",
        default_value_t = DEFAULT_ATTEMPTS, value_parser = clap::value_parser!(u32).range(1..=10))]
    pub max_attempts: u32,

    /// The access key ID for an endpoint on the loopback interface. It is no setting: an embedded engine makes one at
    /// each start.
    #[arg(skip)]
    pub access_key: AccessKey,
}

/// The access key ID of an engine on this machine. Its Debug form hides it.
#[derive(Clone)]
pub struct AccessKey(Arc<str>);

impl AccessKey {
    /// Returns the key, to be sent to the engine only.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for AccessKey {
    /// Returns a made-up key, for engines that check none.
    fn default() -> Self {
        "local".into()
    }
}

impl From<&str> for AccessKey {
    fn from(key: &str) -> Self {
        Self(key.into())
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKey")
    }
}

const DEFAULT_REGION: &str = "us-east-1";
const DEFAULT_PREFIX: &str = "therapy-";
const DEFAULT_ATTEMPTS: u32 = 3;

impl Default for Config {
    /// Returns the settings of an empty command line and an empty environment.
    fn default() -> Self {
        Self {
            endpoint: None,
            region: DEFAULT_REGION.to_owned(),
            table_prefix: DEFAULT_PREFIX.to_owned(),
            attempt_timeout: Duration::from_secs(1),
            operation_timeout: Duration::from_secs(3),
            connect_timeout: Duration::from_millis(500),
            max_attempts: DEFAULT_ATTEMPTS,
            access_key: AccessKey::default(),
        }
    }
}

impl Config {
    /// Returns a client with these settings, whose backoff is spread by `entropy`. Sends nothing yet.
    ///
    /// An endpoint on the loopback interface is an emulator: it gets the access key alone. Every other gets credentials
    /// of the usual chain: environment, profile, web identity, container, instance.
    pub async fn connect(&self, entropy: Arc<dyn Entropy>) -> Client {
        let http =
            aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(self.connect_timeout)
            .operation_attempt_timeout(self.attempt_timeout)
            .operation_timeout(self.operation_timeout)
            .build();
        // The defaults (1 s, 20 s) would spend the operation's time on waiting.
        let retries = RetryConfig::standard()
            .with_max_attempts(self.max_attempts)
            .with_initial_backoff(Duration::from_millis(50))
            .with_max_backoff(Duration::from_millis(500));
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .http_client(http)
            .timeout_config(timeouts)
            .retry_config(retries);
        if let Some(endpoint) = &self.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if self.is_local() {
            // DynamoDB Local takes alphanumeric access keys only.
            let key = self.access_key.as_str();
            loader = loader.credentials_provider(Credentials::new(key, "local", None, None, "loopback"));
        }
        let sdk = aws_sdk_dynamodb::Client::new(&loader.load().await);
        Client { sdk, prefix: self.table_prefix.as_str().into(), erasure: None, entropy }
    }

    /// Returns true if the endpoint is on the loopback interface.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.endpoint.as_deref().is_some_and(is_loopback)
    }
}

/// A connection to DynamoDB. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    pub(crate) sdk: aws_sdk_dynamodb::Client,
    prefix: Arc<str>,
    erasure: Option<Arc<dyn Erasure>>,
    entropy: Arc<dyn Entropy>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Client {
    /// Sets the erasure of a store whose deleted content this process can overwrite.
    #[must_use]
    pub fn with_erasure(self, erasure: Arc<dyn Erasure>) -> Self {
        Self { erasure: Some(erasure), ..self }
    }

    /// Returns the handle of a table. Sends nothing.
    #[must_use]
    pub fn table(&self, def: &'static TableDef) -> Table {
        Table {
            sdk: self.sdk.clone(),
            name: self.name(def).into(),
            def,
            erasure: self.erasure.clone(),
            entropy: self.entropy.clone(),
        }
    }

    /// Returns the full name of a table: the prefix and its own name.
    pub(crate) fn name(&self, def: &TableDef) -> String {
        format!("{}{}", self.prefix, def.name)
    }
}

fn parse_endpoint(text: &str) -> Result<String, String> {
    let remedy = "must be like http://127.0.0.1:8000; leave it unset for AWS";
    let uri: http::Uri = text.parse().map_err(|_| remedy.to_owned())?;
    let scheme = uri.scheme_str();
    let bare = uri.path() == "/" && uri.query().is_none();
    if (scheme == Some("http") || scheme == Some("https")) && uri.host().is_some_and(|host| !host.is_empty()) && bare {
        Ok(text.to_owned())
    } else {
        Err(remedy.to_owned())
    }
}

fn is_loopback(endpoint: &str) -> bool {
    let Ok(uri) = endpoint.parse::<http::Uri>() else { return false };
    uri.host().is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

fn parse_prefix(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if (2..=100).contains(&text.len()) && text.chars().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("must be 2 to 100 letters, digits, '-', '_' or '.', such as therapy-".to_owned())
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("must be longer than nothing, such as 1s".to_owned()),
        Ok(duration) => Ok(duration),
        Err(_) => Err("must be a duration, such as 500ms or 3s".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Flags {
        #[command(flatten)]
        dynamo: Config,
    }

    fn parse(flags: &[&str]) -> Result<Config, clap::Error> {
        Flags::try_parse_from([&["test"], flags].concat()).map(|flags| flags.dynamo)
    }

    #[test]
    fn empty_command_line_gives_default_config() {
        assert_eq!(format!("{:?}", parse(&[]).unwrap()), format!("{:?}", Config::default()));
    }

    #[test]
    fn invalid_setting_is_refused() {
        for (flag, values) in [
            ("--dynamodb-endpoint", &["", "127.0.0.1:8000", "ftp://x", "http://", "http://x/path", "http://x/?q"][..]),
            ("--dynamodb-region", &[""]),
            ("--table-prefix", &["", "a", "with space", "ünï"]),
            ("--dynamodb-attempt-timeout", &["", "0s", "1", "-1s"]),
            ("--dynamodb-max-attempts", &["", "0", "11"]),
        ] {
            for value in values {
                assert!(parse(&[&format!("{flag}={value}")]).is_err(), "{flag}={value}");
            }
        }
        assert!(parse(&["--dynamodb-endpoint=http://127.0.0.1:8000"]).is_ok());
    }

    #[test]
    fn access_key_is_sent_to_loopback_only() {
        for local in ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "https://127.1.2.3"] {
            assert!(is_loopback(local), "{local}");
        }
        for remote in
            ["http://dynamodb:8000", "http://10.0.0.1", "http://localhost.example.org", "http://127.0.0.1.example.org"]
        {
            assert!(!is_loopback(remote), "{remote}");
        }
    }
}
